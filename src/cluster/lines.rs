//! A stream of bytes as lines.

use kube::client::Body;

use super::ask::{Failure, next};
use super::split::MAX_OBJECT;

/// The lines of a watch, each of bounded length.
pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Up to here there is no line end.
    searched: usize,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self { body, buffer: Vec::new(), searched: 0 }
    }

    /// The next line; `None` at the end. May be dropped while it waits: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                let rest = self.buffer.split_off(self.searched + found + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                line.pop();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MAX_OBJECT {
                return Err(Failure::strange(format!("an event has more than {MAX_OBJECT} bytes")));
            }
            match next(&mut self.body).await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}
