//! The double itself: it takes what the documentation allows, and refuses what it does not, over the real SDK.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::Credentials;
use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::builders::MetricDatumBuilder;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, StatisticSet};
use headcount::aws::sdk_defaults;
use headcount::types::MICROS_PER_SEC;

use super::scene::{NOW, clock};
use crate::cloudwatch_double::{Double, Trouble};

async fn client(double: &Double) -> Client {
    let config = sdk_defaults(Some("eu-west-2"))
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-2"))
        .endpoint_url(double.endpoint())
        .credentials_provider(Credentials::new("k", "s", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .load()
        .await;
    Client::new(&config)
}

fn datum() -> MetricDatumBuilder {
    MetricDatum::builder().metric_name("m").timestamp(at(0))
}

fn at(seconds: i64) -> DateTime {
    DateTime::from_secs(NOW / MICROS_PER_SEC + seconds)
}

fn dimensions(n: usize) -> Option<Vec<Dimension>> {
    Some((0..n).map(|i| Dimension::builder().name(format!("d{i}")).value("v").build()).collect())
}

fn set(count: f64, minimum: f64, maximum: f64) -> StatisticSet {
    StatisticSet::builder().sample_count(count).sum(1.0).minimum(minimum).maximum(maximum).build()
}

/// The error's code; `None` if the call was taken.
async fn put(client: &Client, namespace: &str, data: Vec<MetricDatum>) -> Option<String> {
    let put = client.put_metric_data().namespace(namespace).set_metric_data(Some(data)).send().await;
    put.err().map(|e| e.code().unwrap_or("no code").to_owned())
}

#[tokio::test]
async fn the_double_takes_what_is_allowed_up_to_the_limits() {
    let double = Double::start(clock(NOW)).await;
    let client = client(&double).await;
    let good = [
        datum().value(2f64.powi(360)),
        datum().value(-0.5).unit(StandardUnit::Milliseconds).storage_resolution(1),
        datum().value(1.0).timestamp(at(-14 * 86_400)),
        datum().value(1.0).timestamp(at(2 * 3_600)),
        datum().value(1.0).set_dimensions(dimensions(30)),
        datum().value(1.0).metric_name("x".repeat(255)),
        datum().value(1.0).dimensions(Dimension::builder().name("d").value("v".repeat(1_024)).build()),
        datum().statistic_values(set(10.0, 0.0, 3.0)),
        datum().set_values(Some(vec![1.0; 150])),
    ];
    assert_eq!(put(&client, "a", good.map(MetricDatumBuilder::build).to_vec()).await, None);
    assert_eq!(put(&client, "a", vec![datum().value(1.0).build(); 1_000]).await, None);
    let puts = double.puts();
    assert_eq!((puts[0].data.len(), puts[0].compressed, puts[1].compressed), (9, false, true));
    assert_eq!(puts[0].data[0].time_millis, NOW / 1_000);
    assert_eq!(puts[0].data[8].sample.sum, 150.0);
}

#[tokio::test]
async fn the_double_refuses_what_the_documentation_does() {
    let double = Double::start(clock(NOW)).await;
    let client = client(&double).await;
    let of = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let bad = [
        datum().value(f64::NAN),
        datum().value(f64::INFINITY),
        datum().value(2f64.powi(361)),
        datum().value(1.0).timestamp(at(-14 * 86_400 - 1)),
        datum().value(1.0).timestamp(at(2 * 3_600 + 1)),
        datum().value(1.0).set_dimensions(dimensions(31)),
        datum().value(1.0).metric_name("x".repeat(256)),
        datum().value(1.0).metric_name(""),
        datum().value(1.0).metric_name(":m"),
        datum().value(1.0).dimensions(of("d", " ")),
        datum().value(1.0).dimensions(of("d", "Zürich")),
        datum().value(1.0).dimensions(of("d", &"v".repeat(1_025))),
        datum().value(1.0).dimensions(of("d", "a")).dimensions(of("d", "b")),
        datum().value(1.0).unit(StandardUnit::from("Viewers")),
        datum().value(1.0).storage_resolution(10),
        datum().statistic_values(set(0.0, 0.0, 1.0)),
        datum().statistic_values(set(1.0, 2.0, 1.0)),
        datum().set_values(Some(vec![1.0; 151])),
    ];
    for (i, builder) in bad.into_iter().enumerate() {
        // One bad datum spoils the call for its neighbours.
        let data = vec![datum().value(1.0).build(), builder.build()];
        assert_eq!(put(&client, "a", data).await.as_deref(), Some("InvalidParameterValue"), "datum {i}");
    }
    let both = datum().value(1.0).statistic_values(set(1.0, 0.0, 1.0)).build();
    assert_eq!(put(&client, "a", vec![both]).await.as_deref(), Some("InvalidParameterCombination"));
    let incomplete = datum().statistic_values(StatisticSet::builder().sample_count(1.0).sum(1.0).build()).build();
    assert_eq!(put(&client, "a", vec![incomplete]).await.as_deref(), Some("MissingParameter"));
    assert_eq!(
        put(&client, "AWS/EC2", vec![datum().value(1.0).build()]).await.as_deref(),
        Some("InvalidParameterValue")
    );
    let many = vec![datum().value(1.0).build(); 1_001];
    assert_eq!(put(&client, "a", many).await.as_deref(), Some("InvalidParameterValue"));
    let large = vec![datum().value(1.0).dimensions(of("d", &"v".repeat(1_024))).build(); 1_000];
    assert_eq!(put(&client, "a", large).await.as_deref(), Some("RequestEntityTooLarge"));
    assert!(double.puts().is_empty());
}

#[tokio::test]
async fn troubles_look_like_the_services() {
    let double = Double::start(clock(NOW)).await;
    let client = client(&double).await;
    double.trouble(&[
        Trouble::Throttling,
        Trouble::InternalServiceFault,
        Trouble::AccessDenied,
        Trouble::LostAnswer,
        Trouble::Unavailable,
    ]);
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.extend(put(&client, "a", vec![datum().value(1.0).build()]).await);
    }
    assert_eq!(codes[..4], ["Throttling", "InternalServiceError", "AccessDenied", "InternalServiceError"]);
    assert_eq!((codes.len(), double.puts().len(), double.calls()), (5, 1, 5));
}
