//! Files and futures for the targets that need them.

use std::future::Future;
use std::path::Path;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

/// Waits for a future.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
    RUNTIME.block_on(future)
}

/// Shows a file of these bytes, in a folder of its own that goes afterwards.
pub fn in_file(name: &str, data: &[u8], see: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, data).unwrap();
    see(&path);
}

/// Runs in a thread with a stack of its own: where nothing is optimised, or a sanitizer is at work, planning takes more of it than a
/// test's thread has.
pub fn with_stack<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    const STACK_BYTES: usize = 64 << 20;
    std::thread::scope(|scope| {
        let running = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run).unwrap();
        running.join().unwrap_or_else(|failure| std::panic::resume_unwind(failure))
    })
}
