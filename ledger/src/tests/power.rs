//! A power cut under redb: writes that were not synced are there or not, sector by sector, as a disk may have it.

use std::io;
use std::sync::{Arc, Mutex};

use ::redb::StorageBackend;
use envelope::draft::Draft;
use envelope::time::Timestamp;

use super::{Dice, Kind, Stage};
use crate::log::{Log, Parts};
use crate::open::{create_on, open_on};
use crate::redb::Redb;
use crate::{AppendError, Ledger as _, OpenError};

/// A disk whose power goes at one of its calls.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    /// What the program reads.
    seen: Vec<u8>,
    /// What was there at the last sync.
    durable: Vec<u8>,
    /// Writes since then; a change of length has no bytes.
    pending: Vec<Pending>,
    calls: u64,
    cut_at: u64,
}

#[derive(Debug)]
enum Pending {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Platter {
    /// One call that changes something; from the cut on all fail.
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        if self.cut_at != 0 && self.calls >= self.cut_at { Err(io::Error::other("no power")) } else { Ok(()) }
    }
}

impl Disk {
    fn plan(&self, cut_at: u64) {
        let mut platter = self.0.lock().unwrap();
        (platter.calls, platter.cut_at) = (0, cut_at);
    }

    fn was_cut(&self) -> bool {
        let platter = self.0.lock().unwrap();
        platter.calls >= platter.cut_at
    }

    /// Back with power: each sector that was not synced is there or not.
    fn power_on(&self, dice: &mut Dice) {
        let mut platter = self.0.lock().unwrap();
        let mut image = std::mem::take(&mut platter.durable);
        for pending in std::mem::take(&mut platter.pending) {
            match pending {
                Pending::Length(length) => image.resize(length, 0),
                Pending::Bytes(offset, bytes) => {
                    for (sector, bytes) in bytes.chunks(SECTOR).enumerate() {
                        let at = offset + sector * SECTOR;
                        if dice.below(2) == 0 && at + bytes.len() <= image.len() {
                            image[at..at + bytes.len()].copy_from_slice(bytes);
                        }
                    }
                }
            }
        }
        *platter = Platter { seen: image.clone(), durable: image, ..Platter::default() };
    }
}

const SECTOR: usize = 512;

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.0.lock().unwrap();
        let bytes = platter.seen.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        platter.call()?;
        platter.seen.resize(len as usize, 0);
        platter.pending.push(Pending::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        platter.call()?;
        platter.durable = platter.seen.clone();
        platter.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        // The write that the power fails in may still reach the platter in part.
        platter.pending.push(Pending::Bytes(offset as usize, data.to_vec()));
        platter.call()?;
        platter.seen[offset as usize..offset as usize + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// redb on the disk, keys and payloads in memory: the order of those files is the operating system's fsync.
fn parts(stage: &Stage, disk: &Disk) -> Result<Parts, OpenError> {
    let store = Box::new(Redb::open_on(disk.clone()).map_err(OpenError::Store)?);
    let lock = stage.memory.lock().expect("the last ledger is gone");
    Ok(stage.memory.parts(store, lock))
}

fn open(stage: &Stage, disk: &Disk) -> Result<Log, OpenError> {
    open_on("redb", parts(stage, disk)?, &stage.dir(), &Stage::config(), stage.signers())
}

/// Appends until the power goes; returns the batch in doubt.
fn run(stage: &mut Stage, disk: &Disk) -> Vec<Draft> {
    let Ok(ledger) = open(stage, disk) else { return Vec::new() };
    for count in [3, 1, 20, 2] {
        let drafts = stage.drafts(count);
        match stage.append(&ledger, drafts.clone()) {
            Ok(_) => {}
            Err(AppendError::Unknown(_)) => return drafts,
            Err(error) => panic!("{error:?}"),
        }
    }
    Vec::new()
}

#[test]
fn what_was_answered_survives_a_power_cut_at_any_write() {
    let (mut there, mut lost) = (0, 0);
    for cut_at in 1.. {
        let mut stage = Stage::new(Kind::Memory);
        stage.dice = Dice(cut_at * 0x9e37_79b9);
        let disk = Disk::default();
        let made = create_on("redb", parts(&stage, &disk).unwrap(), &stage.dir(), &Stage::config(), stage.signers());
        drop(made.unwrap());
        disk.plan(cut_at);
        let in_doubt = run(&mut stage, &disk).len() as u64;
        if !disk.was_cut() {
            assert!(cut_at > 20, "only {cut_at} calls were tried");
            break;
        }
        disk.power_on(&mut stage.dice);
        let ledger = open(&stage, &disk).unwrap_or_else(|error| panic!("cut at {cut_at}: {error:?}"));
        let (size, known) = (ledger.size(), stage.known.len() as u64);
        assert!(size == known || size == known + in_doubt, "cut at {cut_at}: {size} entries, {known} were answered");
        if size > known {
            there += 1
        } else {
            lost += u64::from(in_doubt > 0)
        }
        stage.check_heads(&ledger);
        stage.check_entries(&ledger);
        let drafts = stage.drafts(2);
        let committed = ledger.append(size, Timestamp(stage.at + 10), drafts).unwrap();
        stage.record.release(&committed.checkpoint, tlog::NoteSigner::key(&*stage.signers().log));
        assert_eq!(ledger.scrub(0, size + 2).unwrap().findings, []);
    }
    assert!(there > 0 && lost > 0, "both ends of the doubt are met: {there} there, {lost} lost");
}
