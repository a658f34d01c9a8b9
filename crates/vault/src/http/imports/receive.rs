//! A body's way into a file that is imported.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{
    core::Core,
    http::{
        problem::Refusal,
        uploads::{
            checksum::Checksum,
            headers::{self, UPLOAD_OFFSET},
            receive::{Destination, Received, Receiver},
        },
    },
    import::upload::ImportUpload,
    store::StoreError,
};

/// A file's bytes, from where this body began.
struct ToFile {
    core: Arc<Core>,
    upload: Arc<ImportUpload>,
    begun_at: u64,
}

impl Destination for ToFile {
    fn left(&self) -> u64 {
        self.upload.length.saturating_sub(self.upload.written())
    }

    async fn write(
        &self,
        batch: Vec<Bytes>,
    ) -> Result<oneshot::Receiver<Result<u64, StoreError>>, StoreError> {
        self.core.imports.write(&self.upload, batch, self.core.clock.wall()).await
    }

    async fn take_back(&self) -> Result<(), StoreError> {
        self.core.imports.take_back(&self.upload, self.begun_at, self.core.clock.wall()).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.core.imports.settle(&self.upload, self.core.clock.wall()).await
    }

    fn refusal(&self) -> Refusal {
        Refusal::taken_over()
    }
}

/// Takes the turn, checks the offset, takes the body; a file that is whole then waits for its job.
pub(super) async fn tus(
    core: &Arc<Core>,
    upload: &Arc<ImportUpload>,
    offset: u64,
    checksum: Option<Checksum>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Refusal> {
    let turn = upload.take_turn().await.ok_or_else(Refusal::taken_over)?;
    let at = upload.durable();
    if at != offset {
        let detail = format!("the upload is at {at}, not at {offset}");
        return Err(Refusal::new(409, "offset", "Upload-Offset is not the upload's", detail)
            .with(UPLOAD_OFFSET, at.into()));
    }
    if headers::number(headers, &header::CONTENT_LENGTH)?.is_some_and(|bytes| bytes > upload.length - at) {
        return Err(past_length(upload));
    }
    let destination = ToFile { core: core.clone(), upload: upload.clone(), begun_at: at };
    let receiver = Receiver { core: core.clone(), destination, turn, gate: CancellationToken::new() };
    // On a task of its own, so that what came is kept even when the connection dies and this future with it.
    let (of, at_desk) = (upload.clone(), core.clone());
    let received = tokio::spawn(async move {
        let received = receiver.run(body, checksum).await;
        // Also after an error: the last byte may have come before it.
        at_desk.imports.queue_if_whole(&of).await?;
        received
    });
    match received.await.map_err(|_| StoreError::Stopped)?? {
        Received::All => Ok(()),
        Received::PastLength => Err(past_length(upload)),
        Received::WrongChecksum => {
            let detail = "the body was changed on its way; nothing of it is kept, send it again";
            Err(Refusal::new(460, "checksum", "checksum does not match", detail))
        }
    }
}

fn past_length(upload: &ImportUpload) -> Refusal {
    let detail = format!("the upload has {} bytes; what is beyond is not taken", upload.length);
    Refusal::new(413, "past-length", "upload is longer than it said", detail)
}
