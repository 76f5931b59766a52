//! The access log's own thread. Workers append lines to buffers of their own; the thread takes
//! the buffers a few times a second and writes them. A full buffer drops lines and counts them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::lock;
use crate::settings::{AccessLog, LogFormat, LogSink};

/// Why the access log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be opened.
    #[error("access log {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// No thread can be made.
    #[error("access log: {0}")]
    Thread(io::Error),
}

/// The log, its buffers and its thread.
pub(super) struct LogHub {
    // Empty while there is no log.
    shared: OnceLock<Arc<Queue>>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
    format: LogFormat,
    dropped: Counter,
}

/// One worker's end.
pub(super) struct LogProducer {
    queue: Arc<Queue>,
    buffer: Arc<Mutex<String>>,
    format: LogFormat,
    dropped: Counter,
}

#[derive(Default)]
struct Queue {
    buffers: Mutex<Vec<Arc<Mutex<String>>>>,
    state: Mutex<Signals>,
    wake: Condvar,
}

#[derive(Default)]
struct Signals {
    filled: bool,
    reopen: bool,
    close: bool,
}

enum Output {
    Stdout,
    File { path: PathBuf, file: File },
}

// What one worker may have unwritten: some thousand lines.
const LARGEST_BUFFER: usize = 1 << 20;
// Lines of this time are written together.
const BATCH: Duration = Duration::from_millis(50);

// === impl LogHub ===

impl LogHub {
    pub(super) fn start(settings: &AccessLog, dropped: Counter) -> Result<Self, LogError> {
        let hub = Self {
            shared: OnceLock::new(),
            thread: Mutex::default(),
            format: settings.format,
            dropped,
        };
        match &settings.sink {
            LogSink::Off => {}
            LogSink::Stdout => hub.open(Output::Stdout)?,
            LogSink::File(path) => hub.open(Output::open(path)?)?,
        }
        Ok(hub)
    }

    /// Starts the thread, if it does not run.
    fn open(&self, output: Output) -> Result<(), LogError> {
        let mut running = lock(&self.thread);
        if self.shared.get().is_some() {
            return Ok(());
        }
        let queue = Arc::new(Queue::default());
        let thread = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn({
                let queue = Arc::clone(&queue);
                move || queue.run(output)
            })
            .map_err(LogError::Thread)?;
        *running = Some(thread);
        // Nobody else sets it while the lock is held.
        let _ = self.shared.set(queue);
        Ok(())
    }

    /// The same where there was no log until now: it goes to the standard output, as Istio's
    /// provider `envoy` does.
    pub(super) fn on_demand(&self) -> Option<LogProducer> {
        if let Err(error) = self.open(Output::Stdout) {
            tracing::warn!(%error, "cannot write the access log that a Telemetry asks for");
        }
        self.producer()
    }

    pub(super) fn producer(&self) -> Option<LogProducer> {
        let queue = Arc::clone(self.shared.get()?);
        let buffer = Arc::new(Mutex::new(String::new()));
        lock(&queue.buffers).push(Arc::clone(&buffer));
        Some(LogProducer {
            queue,
            buffer,
            format: self.format,
            dropped: self.dropped.clone(),
        })
    }

    pub(super) fn reopen(&self) {
        self.signal(|signals| signals.reopen = true);
    }

    pub(super) fn close(&self) {
        self.signal(|signals| signals.close = true);
        if let Some(thread) = lock(&self.thread).take()
            && thread.join().is_err()
        {
            tracing::error!("the access log's thread panicked");
        }
    }

    fn signal(&self, set: impl FnOnce(&mut Signals)) {
        if let Some(queue) = self.shared.get() {
            set(&mut lock(&queue.state));
            queue.wake.notify_one();
        }
    }
}

impl Drop for LogHub {
    // The thread ends by itself after the last lines.
    fn drop(&mut self) {
        self.signal(|signals| signals.close = true);
    }
}

// === impl LogProducer ===

impl LogProducer {
    /// Appends what `write` appends to the buffer.
    pub(super) fn write(&self, write: impl FnOnce(&mut String, LogFormat)) {
        let was_empty = {
            let mut buffer = lock(&self.buffer);
            if buffer.len() >= LARGEST_BUFFER {
                self.dropped.inc();
                return;
            }
            let was_empty = buffer.is_empty();
            write(&mut buffer, self.format);
            was_empty
        };
        if was_empty {
            lock(&self.queue.state).filled = true;
            self.queue.wake.notify_one();
        }
    }
}

// === impl Queue ===

impl Queue {
    fn run(&self, mut output: Output) {
        let mut spare = String::new();
        loop {
            let signals = self.wait();
            if signals.reopen {
                output.reopen();
            }
            if !signals.close {
                thread::sleep(BATCH);
            }
            let buffers = lock(&self.buffers).clone();
            for buffer in buffers {
                std::mem::swap(&mut *lock(&buffer), &mut spare);
                if let Err(error) = output.write(spare.as_bytes()) {
                    tracing::warn!(%error, "cannot write the access log");
                }
                spare.clear();
                // A burst's buffer is not kept for ever.
                spare.shrink_to(LARGEST_BUFFER / 16);
            }
            if signals.close {
                return;
            }
        }
    }

    fn wait(&self) -> Signals {
        let idle = |signals: &mut Signals| !(signals.filled || signals.reopen || signals.close);
        let mut state = self
            .wake
            .wait_while(lock(&self.state), idle)
            .unwrap_or_else(PoisonError::into_inner);
        let signals = std::mem::take(&mut *state);
        // Once closed it stays so.
        state.close = signals.close;
        signals
    }
}

// === impl Output ===

impl Output {
    fn open(path: &Path) -> Result<Self, LogError> {
        let file = open_file(path).map_err(|source| LogError::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::File {
            path: path.to_owned(),
            file,
        })
    }

    fn reopen(&mut self) {
        if let Self::File { path, file } = self {
            match open_file(path) {
                Ok(new) => *file = new,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot open the access log again");
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Self::File { file, .. } => file.write_all(bytes),
        }
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(path: &Path) -> LogHub {
        let settings = AccessLog {
            sink: LogSink::File(path.to_owned()),
            format: LogFormat::Text,
        };
        LogHub::start(&settings, Counter::default()).unwrap()
    }

    #[test]
    fn lines_are_there_after_close() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let hub = log(&path);
        let (one, two) = (hub.producer().unwrap(), hub.producer().unwrap());
        for _ in 0..100 {
            one.write(|line, _| line.push_str("one\n"));
            two.write(|line, _| line.push_str("two\n"));
        }
        hub.close();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            (text.matches("one\n").count(), text.matches("two\n").count()),
            (100, 100)
        );
    }

    #[test]
    fn a_full_buffer_drops_and_counts() {
        let directory = tempfile::tempdir().unwrap();
        let hub = log(&directory.path().join("access.log"));
        let producer = hub.producer().unwrap();
        // The thread cannot take the buffer away while the test holds the list of buffers.
        let guard = lock(&producer.queue.buffers);
        producer.write(|line, _| line.push_str(&"x".repeat(LARGEST_BUFFER)));
        producer.write(|line, _| line.push_str("lost\n"));
        drop(guard);
        assert_eq!(hub.dropped.get(), 1);
    }

    #[test]
    fn a_log_that_is_off_can_be_wanted_later() {
        let settings = AccessLog {
            sink: LogSink::Off,
            format: LogFormat::Text,
        };
        let hub = LogHub::start(&settings, Counter::default()).unwrap();
        assert!(hub.producer().is_none());
        let (one, two) = (hub.on_demand().unwrap(), hub.on_demand().unwrap());
        assert!(Arc::ptr_eq(&one.queue, &two.queue), "one thread writes");
        hub.close();
    }

    #[test]
    fn reopens_after_a_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let hub = log(&path);
        let producer = hub.producer().unwrap();
        std::fs::rename(&path, directory.path().join("old")).unwrap();
        hub.reopen();
        producer.write(|line, _| line.push_str("new\n"));
        hub.close();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
    }
}
