//! What the spool is told of footage that will never exist, and what it tells.
//!
//! Belongs here: counting, growing, listing, forgetting. Not here: a loss and its file (`crate::loss`).

use std::sync::{MutexGuard, PoisonError};

use dashvault_base::CameraName;

use super::{Inner, Spool};
use crate::{Loss, LossReport, SpoolError};

impl Spool {
    /// Counts footage that will never exist. Returns its id after it is durable; on a full disk at once, and it is
    /// written when there is room.
    ///
    /// # Errors
    /// The disk fails in another way; the loss is counted in memory then.
    pub fn record_loss(&self, report: LossReport) -> Result<String, SpoolError> {
        let camera = report.camera.clone();
        let id = self.begin_loss(report);
        self.end_loss(&camera, &id).map(|()| id)
    }

    /// Begins to count footage that is being lost: it may go on. It is seen at once ([`Spool::growing_losses`]), listed
    /// after [`Spool::end_loss`], and written by the next [`Spool::enforce_quota`]. Gives its id.
    #[must_use]
    pub fn begin_loss(&self, report: LossReport) -> String {
        self.inner.state().losses.add(report, None).id
    }

    /// Adds to a loss that grows what follows it.
    pub fn extend_loss(&self, id: &str, more: &LossReport) {
        self.inner.state().losses.extend(&more.camera, id, more);
    }

    /// Ends a loss that grows. Returns after it is durable; on a full disk at once, and it is written when there is
    /// room.
    ///
    /// # Errors
    /// The disk fails in another way; the loss is counted in memory then.
    pub fn end_loss(&self, camera: &CameraName, id: &str) -> Result<(), SpoolError> {
        let written = self.inner.write_loss(camera, id);
        self.inner.state().losses.close(camera, id);
        written
    }

    /// The losses that still grow, as they are now: to be shown, not to be announced.
    #[must_use]
    pub fn growing_losses(&self) -> Vec<Loss> {
        self.inner.state().losses.growing()
    }

    /// The losses that are not acknowledged, but for one that still grows.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.inner.state().losses.listed()
    }

    /// Forgets a loss that the vault has acknowledged; one that is not known is no error. After a crash it may be
    /// listed again.
    ///
    /// # Errors
    /// The disk fails.
    pub fn ack_loss(&self, camera: &CameraName, id: &str) -> Result<(), SpoolError> {
        let _files = self.inner.loss_files();
        if !self.inner.state().losses.remove(camera, id) {
            return Ok(());
        }
        match self.inner.disk.remove(&self.inner.layout.loss(camera, id)) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Inner {
    fn loss_files(&self) -> MutexGuard<'_, ()> {
        self.loss_files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a loss as it is now, where its file does not say so yet; a full disk is no error, it is tried again.
    pub(crate) fn write_loss(&self, camera: &CameraName, id: &str) -> Result<(), SpoolError> {
        let _files = self.loss_files();
        let Some(loss) = self.state().losses.to_write(camera, id) else { return Ok(()) };
        match loss.write(&*self.disk, &self.layout) {
            Ok(()) => self.state().losses.written(&loss),
            Err(error) if error.is_full() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Counts a loss that recovery finds, once, however often recovery runs.
    pub(crate) fn count_once(&self, report: LossReport) -> Result<(), SpoolError> {
        let known = |loss: &Loss| {
            let LossReport { camera, recording, from, cause, .. } = &report;
            loss.camera == *camera
                && loss.recording == *recording
                && loss.from == *from
                && loss.cause == *cause
        };
        if self.state().losses.listed().iter().any(known) {
            return Ok(());
        }
        let loss = self.state().losses.add(report, None);
        self.state().losses.close(&loss.camera, &loss.id);
        self.write_loss(&loss.camera, &loss.id)
    }

    pub(crate) fn unwritten_losses(&self) -> Vec<Loss> {
        self.state().losses.unwritten()
    }
}
