//! The AWS SDK's credentials, for a client that is not the SDK's.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kinesis::config::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use super::sdk::sdk_defaults;

/// Credentials are asked for again after this long. Every source of them renews them minutes before they end.
const KEEP: Duration = Duration::from_secs(60);

/// The default chain: environment, profile files, web identity, the role of the container or machine. Asked when first needed.
pub(super) struct SdkCredentials {
    // Properties.
    region: Option<String>,
    // State.
    chain: OnceCell<Option<SharedCredentialsProvider>>,
    kept: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl std::fmt::Debug for SdkCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never what is kept.
        f.debug_struct("SdkCredentials").field("region", &self.region).finish_non_exhaustive()
    }
}

impl SdkCredentials {
    /// `region` is where an assumed role's keys are asked for; without it the environment or the profile says.
    pub(super) fn new(region: Option<String>) -> Self {
        Self { region, chain: OnceCell::new(), kept: Mutex::new(None) }
    }

    async fn chain(&self) -> Option<&SharedCredentialsProvider> {
        let load = async || sdk_defaults(self.region.as_deref()).load().await.credentials_provider();
        self.chain.get_or_init(load).await.as_ref()
    }
}

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // Held while asking, so that a burst of requests asks once.
        let mut kept = self.kept.lock().await;
        if let Some((since, credential)) = &*kept
            && since.elapsed() < KEEP
        {
            return Ok(Arc::clone(credential));
        }
        let chain = self.chain().await.ok_or_else(|| unauthenticated("no credentials are configured".into()))?;
        let found = match (chain.provide_credentials().await, &*kept) {
            (Ok(found), _) => found,
            (Err(e), None) => return Err(unauthenticated(e.into())),
            (Err(e), Some((_, credential))) => {
                // Keys live for hours, and this may be a short failure. Should they have ended, the service says so.
                tracing::warn!(error = %e, "AWS credentials could not be renewed: going on with those at hand");
                return Ok(Arc::clone(credential));
            }
        };
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *kept = Some((Instant::now(), Arc::clone(&credential)));
        Ok(credential)
    }
}

fn unauthenticated(source: Box<dyn StdError + Send + Sync>) -> object_store::Error {
    object_store::Error::Unauthenticated { path: "the AWS credentials chain".to_owned(), source }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::future::ProvideCredentials as ProvideFuture;
    use aws_sdk_kinesis::config::Credentials;

    use super::*;

    #[tokio::test]
    async fn keys_are_passed_on_kept_for_a_while_and_not_shown() {
        let chain = Credentials::new("key", "hidden", Some("token".to_owned()), None, "test");
        let credentials = SdkCredentials::new(None);
        credentials.chain.set(Some(SharedCredentialsProvider::new(chain))).unwrap();
        let first = credentials.get_credential().await.unwrap();
        assert_eq!((&*first.key_id, &*first.secret_key, first.token.as_deref()), ("key", "hidden", Some("token")));
        assert!(Arc::ptr_eq(&first, &credentials.get_credential().await.unwrap()));
        {
            let mut kept = credentials.kept.lock().await;
            let (since, _) = kept.as_mut().unwrap();
            *since = since.checked_sub(KEEP).unwrap();
        }
        assert!(!Arc::ptr_eq(&first, &credentials.get_credential().await.unwrap()));
        assert!(!format!("{credentials:?}").contains("hidden"));
    }

    /// Gives keys once.
    #[derive(Debug, Default)]
    struct Once(std::sync::atomic::AtomicBool);

    impl ProvideCredentials for Once {
        fn provide_credentials<'a>(&'a self) -> ProvideFuture<'a>
        where
            Self: 'a,
        {
            ProvideFuture::ready(match self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
                false => Ok(Credentials::new("key", "hidden", None, None, "test")),
                true => Err(CredentialsError::provider_error("the metadata service is away")),
            })
        }
    }

    #[tokio::test]
    async fn keys_at_hand_outlast_a_failure_to_renew_them() {
        let credentials = SdkCredentials::new(None);
        credentials.chain.set(Some(SharedCredentialsProvider::new(Once::default()))).unwrap();
        let first = credentials.get_credential().await.unwrap();
        if let Some((since, _)) = &mut *credentials.kept.lock().await {
            *since = since.checked_sub(KEEP).unwrap();
        }
        assert!(Arc::ptr_eq(&first, &credentials.get_credential().await.unwrap()));
    }

    #[tokio::test]
    async fn no_credentials_is_an_error_of_authentication() {
        let credentials = SdkCredentials::new(None);
        credentials.chain.set(None).unwrap();
        let e = credentials.get_credential().await.unwrap_err();
        assert!(matches!(e, object_store::Error::Unauthenticated { .. }), "{e}");
    }
}
