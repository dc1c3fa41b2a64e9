//! A thread that is waited for when its handle is dropped.

/// Waits for a thread when it is dropped, so that the thread's last work is done before the process ends.
pub struct JoinOnDrop(Option<std::thread::JoinHandle<()>>);

impl JoinOnDrop {
    /// For this thread.
    pub fn of(thread: std::thread::JoinHandle<()>) -> Self {
        Self(Some(thread))
    }
}

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take()
            && handle.thread().id() != std::thread::current().id()
        {
            // A panic was printed by the thread itself.
            let _ = handle.join();
        }
    }
}
