//! One datum of a request: read from CBOR, and judged by the documented limits
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html> and the types of its page).

use std::collections::BTreeMap;

use ciborium::Value;

/// A datum that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct PutDatum {
    pub metric: String,
    pub dimensions: BTreeMap<String, String>,
    pub time_millis: i64,
    pub unit: Option<String>,
    pub resolution: i128,
    pub sample: Sample,
}

/// What it says; a plain value is one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub count: f64,
    pub sum: f64,
    pub minimum: f64,
    pub maximum: f64,
}

/// Error code and message.
pub type Refusal = (&'static str, String);

const UNITS: &str = "Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits \
    Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second \
    Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None";

pub fn invalid(message: impl Into<String>) -> Refusal {
    ("InvalidParameterValue", message.into())
}

/// The members of a map with text keys.
pub fn members(value: &Value) -> Result<BTreeMap<&str, &Value>, Refusal> {
    let entries = value.as_map().ok_or_else(|| invalid("not a structure"))?;
    if entries.iter().any(|(name, _)| name.as_text().is_none()) {
        return Err(invalid("a member without a name"));
    }
    Ok(entries.iter().filter_map(|(k, v)| Some((k.as_text()?, v))).collect())
}

/// ASCII without control characters, something besides blanks, of a length in range.
pub fn text(what: &str, value: &Value, chars_max: usize) -> Result<String, Refusal> {
    let text = value.as_text().ok_or_else(|| invalid(format!("{what} is no string")))?;
    let plain = text.chars().all(|c| c.is_ascii() && !c.is_ascii_control()) && !text.trim().is_empty();
    if !plain || text.len() > chars_max {
        return Err(invalid(format!("The value {text:?} for parameter {what} is invalid")));
    }
    Ok(text.to_owned())
}

pub fn name(what: &str, value: &Value) -> Result<String, Refusal> {
    let name = text(what, value, 255)?;
    if name.starts_with(':') { Err(invalid(format!("{what} must not start with a colon"))) } else { Ok(name) }
}

fn number(what: &str, value: Option<&&Value>) -> Result<f64, Refusal> {
    let value = value.and_then(|v| v.as_float()).ok_or(("MissingParameter", format!("{what} is required")))?;
    if value.is_finite() && value.abs() <= 2f64.powi(360) {
        return Ok(value);
    }
    Err(invalid(format!("The value {value} for parameter {what} is invalid")))
}

/// Reads and judges one datum at the service's time `now_millis`.
pub fn datum(value: &Value, now_millis: i64) -> Result<PutDatum, Refusal> {
    let members = members(value)?;
    let metric = members.get("MetricName").ok_or(("MissingParameter", "MetricName is required".to_owned()))?;
    let unit = members.get("Unit").map(|u| text("Unit", u, 255)).transpose()?;
    if unit.as_ref().is_some_and(|u| !UNITS.split_whitespace().any(|known| known == u)) {
        return Err(invalid(format!("Unit {unit:?}")));
    }
    let resolution = members.get("StorageResolution").map_or(Some(60), |r| r.as_integer().map(i128::from));
    let resolution = resolution.filter(|r| matches!(r, 1 | 60)).ok_or_else(|| invalid("StorageResolution"))?;
    Ok(PutDatum {
        metric: name("MetricName", metric)?,
        dimensions: members.get("Dimensions").map(|d| dimensions(d)).transpose()?.unwrap_or_default(),
        time_millis: time(members.get("Timestamp"), now_millis)?,
        unit,
        resolution,
        sample: sample(&members)?,
    })
}

fn dimensions(value: &Value) -> Result<BTreeMap<String, String>, Refusal> {
    let list = value.as_array().ok_or_else(|| invalid("Dimensions is no list"))?;
    if list.len() > 30 {
        return Err(invalid(format!("{} dimensions, the maximum is 30", list.len())));
    }
    let mut found = BTreeMap::new();
    for dimension in list {
        let members = members(dimension)?;
        let (Some(key), Some(value)) = (members.get("Name"), members.get("Value")) else {
            return Err(("MissingParameter", "a dimension needs Name and Value".to_owned()));
        };
        let twice = found.insert(name("Dimensions.Name", key)?, text("Dimensions.Value", value, 1_024)?);
        if twice.is_some() {
            return Err(invalid("a dimension is there twice"));
        }
    }
    Ok(found)
}

/// A time stamp is tag 1 with seconds; it may be two weeks old and two hours ahead.
fn time(value: Option<&&Value>, now_millis: i64) -> Result<i64, Refusal> {
    let seconds = match value {
        None => return Ok(now_millis),
        Some(Value::Tag(1, inner)) => inner.as_float().or_else(|| inner.as_integer().map(|i| i128::from(i) as f64)),
        Some(_) => None,
    };
    let millis = (seconds.ok_or_else(|| invalid("Timestamp is no time"))? * 1_000.0).round() as i64;
    let (oldest, newest) = (now_millis - 14 * 86_400_000, now_millis + 2 * 3_600_000);
    match (oldest..=newest).contains(&millis) {
        true => Ok(millis),
        false => Err(invalid("The parameter Timestamp must not be more than two weeks old or two hours ahead")),
    }
}

fn sample(members: &BTreeMap<&str, &Value>) -> Result<Sample, Refusal> {
    let given = ["Value", "StatisticValues", "Values"].into_iter().filter(|m| members.contains_key(m)).count();
    if given != 1 {
        return Err(("InvalidParameterCombination", "one of Value, StatisticValues and Values is needed".to_owned()));
    }
    if let Some(values) = members.get("Values") {
        return values_and_counts(values, members.get("Counts").copied());
    }
    let Some(set) = members.get("StatisticValues") else {
        let value = number("Value", members.get("Value"))?;
        return Ok(Sample { count: 1.0, sum: value, minimum: value, maximum: value });
    };
    let set = self::members(set)?;
    let sample = Sample {
        count: number("SampleCount", set.get("SampleCount"))?,
        sum: number("Sum", set.get("Sum"))?,
        minimum: number("Minimum", set.get("Minimum"))?,
        maximum: number("Maximum", set.get("Maximum"))?,
    };
    if sample.count <= 0.0 || sample.minimum > sample.maximum {
        return Err(invalid(format!("StatisticValues {sample:?}")));
    }
    Ok(sample)
}

fn values_and_counts(values: &Value, counts: Option<&Value>) -> Result<Sample, Refusal> {
    let floats = |v: &Value| v.as_array().map(|list| list.iter().filter_map(Value::as_float).collect::<Vec<f64>>());
    let values = floats(values).unwrap_or_default();
    let counts = counts.and_then(floats).unwrap_or_else(|| vec![1.0; values.len()]);
    if values.is_empty() || values.len() > 150 || counts.len() != values.len() {
        return Err(invalid("Values takes 1 to 150 values, and Counts as many"));
    }
    Ok(Sample {
        count: counts.iter().sum(),
        sum: values.iter().zip(&counts).map(|(v, c)| v * c).sum(),
        minimum: values.iter().copied().fold(f64::INFINITY, f64::min),
        maximum: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    })
}
