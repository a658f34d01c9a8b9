//! Which streams the cut follows: PAT and PMTs as seen since the last cut.
//!
//! Belongs here: the choice of one program. Does not: cutting.
//! Invariants: at most [`MAX_PROGRAMS`] programs; buffers are kept over a reset, so that a cut allocates nothing.

use crate::{
    Packet, Pid, StreamInfo,
    ts::{
        psi::{MAX_PROGRAMS, Program, TableError, parse_pat, parse_pmt},
        section::SectionReader,
    },
};

/// The program table.
#[derive(Debug, Default)]
pub(super) struct Programs {
    pat: SectionReader,
    known: Vec<Known>,
    /// One for each PMT PID, in use up to `readers_used`.
    readers: Vec<(Pid, SectionReader)>,
    readers_used: usize,
    chosen: Option<StreamInfo>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    program: Program,
    streams: Option<StreamInfo>,
}

impl Programs {
    /// Forgets every table.
    pub(super) fn reset(&mut self) {
        self.pat.reset();
        self.known.clear();
        self.readers_used = 0;
        self.chosen = None;
    }

    /// The streams to cut by: the first program with video in PAT order, else the first with audio.
    pub(super) const fn chosen(&self) -> Option<StreamInfo> {
        self.chosen
    }

    /// Whether packets of this PID may lead a segment: PAT, SDT, and the PMTs that the PAT names.
    pub(super) fn is_psi(&self, pid: Pid) -> bool {
        pid == Pid::PAT || pid == Pid::SDT || self.used().iter().any(|(pmt, _)| *pmt == pid)
    }

    /// Takes a packet for which [`Programs::is_psi`] holds; counts broken tables in `errors`.
    pub(super) fn push(&mut self, packet: Packet<'_>, errors: &mut u64) {
        let pid = packet.pid();
        if pid == Pid::PAT {
            self.push_pat(packet, errors);
        } else if let Some((_, reader)) =
            self.readers.iter_mut().take(self.readers_used).find(|(pmt, _)| *pmt == pid)
        {
            let known = &mut self.known;
            reader.push(packet, |section| {
                let Ok(section) = section else { return *errors += 1 };
                match parse_pmt(section) {
                    Ok(Some(streams)) => {
                        let named = |known: &&mut Known| {
                            known.program == Program { number: streams.program, pmt: pid }
                        };
                        known.iter_mut().filter(named).for_each(|known| known.streams = Some(streams));
                    }
                    // Other tables may share the PID.
                    Ok(None) | Err(TableError::TableId { .. }) => {}
                    Err(TableError::Truncated) => *errors += 1,
                }
            });
        }
        self.choose();
    }

    fn push_pat(&mut self, packet: Packet<'_>, errors: &mut u64) {
        let mut named = [None; MAX_PROGRAMS];
        let mut replaced = false;
        self.pat.push(packet, |section| match section.map(parse_pat) {
            Ok(Ok(Some(programs))) => {
                named = [None; MAX_PROGRAMS];
                replaced = true;
                named.iter_mut().zip(programs).for_each(|(slot, program)| *slot = Some(program));
            }
            Ok(Ok(None)) => {}
            Ok(Err(_)) | Err(_) => *errors += 1,
        });
        let same = self.known.iter().map(|known| known.program).eq(named.iter().copied().flatten());
        if replaced && !same {
            self.replace(named.iter().copied().flatten());
        }
    }

    fn replace(&mut self, programs: impl Iterator<Item = Program>) {
        self.known.clear();
        self.readers_used = 0;
        for program in programs {
            self.known.push(Known { program, streams: None });
            if self.used().iter().any(|(pid, _)| *pid == program.pmt) {
                continue;
            }
            if self.readers_used == self.readers.len() {
                self.readers.push((program.pmt, SectionReader::new()));
            }
            if let Some((pid, reader)) = self.readers.get_mut(self.readers_used) {
                *pid = program.pmt;
                reader.reset();
                self.readers_used += 1;
            }
        }
    }

    fn choose(&mut self) {
        let streams = || self.known.iter().filter_map(|known| known.streams);
        self.chosen = streams()
            .find(|info| info.video.is_some())
            .or_else(|| streams().find(|info| info.audio.is_some()));
    }

    fn used(&self) -> &[(Pid, SectionReader)] {
        self.readers.get(..self.readers_used).unwrap_or(&[])
    }
}
