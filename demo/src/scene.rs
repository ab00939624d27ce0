//! A story on its stage: the network, its gateway while it runs, who takes part, and who tells it.
//!
//! It does not know what is played.

use anyhow::{Context as _, ensure};
use client::{Client, Profile, audit};
use gateway::Running;

use crate::narrator::Narrator;
use crate::network::Folder;

/// A story that is being played.
pub struct Scene<'a> {
    /// The network.
    pub folder: &'a Folder,
    /// Who tells it.
    pub tell: &'a mut Narrator,
    running: Option<Running>,
}

impl std::fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl<'a> Scene<'a> {
    /// Starts the gateway and says so.
    ///
    /// # Errors
    /// Whatever the gateway says.
    pub async fn open(folder: &'a Folder, tell: &'a mut Narrator) -> anyhow::Result<Self> {
        let running = folder.start().await?;
        tell.timed(&format!("the gateway node/dev-1 serves on {} with {} entries in its log", running.address, running.size));
        Ok(Self { folder, tell, running: Some(running) })
    }

    /// The gateway, and who tells: for stories that look at both.
    ///
    /// # Errors
    /// When it stands still.
    pub fn split(&mut self) -> anyhow::Result<(&'a Folder, &Running, &mut Narrator)> {
        Ok((self.folder, self.running.as_ref().context("the gateway stands still")?, self.tell))
    }

    /// Everybody named, connected; then each fetches the directory, so that all know all keys.
    ///
    /// # Errors
    /// Whatever a client says.
    pub async fn cast<const N: usize>(&self, members: [&str; N]) -> anyhow::Result<[Client; N]> {
        let running = self.running.as_ref().context("the gateway stands still")?;
        let mut clients = Vec::with_capacity(N);
        for member in members {
            clients.push(self.folder.client(running, member).await.with_context(|| format!("{member} does not connect"))?);
        }
        for client in &mut clients {
            client.refresh_directory().await?;
        }
        <[Client; N]>::try_from(clients).map_err(|_| anyhow::anyhow!("as many clients as members"))
    }

    /// A member without a connection.
    ///
    /// # Errors
    /// When it has no profile, or another has it open.
    pub fn offline(&self, member: &str) -> anyhow::Result<Client> {
        Ok(Client::offline(&Profile::open(&self.folder.profile_path(member))?)?)
    }

    /// The gateway is gone: every link is dead.
    pub async fn cut(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// The gateway is back; gives how many entries it has.
    ///
    /// # Errors
    /// Whatever the gateway says.
    pub async fn restore(&mut self) -> anyhow::Result<u64> {
        self.cut().await;
        let running = self.folder.start().await?;
        let size = running.size;
        self.running = Some(running);
        Ok(size)
    }

    /// The last step of every story: the whole log again, from its first entry, and nothing found.
    ///
    /// # Errors
    /// When something is found, or not everything could be judged.
    pub async fn audit(&mut self) -> anyhow::Result<audit::Verdict> {
        let [mut auditor] = self.cast(["aud/network"]).await?;
        audited(&mut auditor, self.tell).await
    }
}

/// The audit at the end of a story.
///
/// # Errors
/// When something is found, or not everything could be judged.
pub async fn audited(auditor: &mut Client, tell: &mut Narrator) -> anyhow::Result<audit::Verdict> {
    tell.step("The auditor aud/network replays the log from its first entry and judges everything again");
    let options = audit::Options { from: 0, purpose: "the demo's audit".to_owned() };
    let verdict = audit::verify(auditor, &options, |_, _| ()).await?;
    tell.timed(&format!("its access is in the log first; {} entries replayed, {} judged again", verdict.size, verdict.judged));
    ensure!(verdict.findings.is_empty(), "findings: {:?}", verdict.findings);
    ensure!(verdict.gaps.is_empty(), "gaps: {:?}", verdict.gaps);
    ensure!(verdict.judged == verdict.size && verdict.withheld == 0, "{} of {} judged", verdict.judged, verdict.size);
    tell.say(&format!("root {}: recomputed, and the one that the gateway has signed", verdict.root));
    for (sender, count) in &verdict.counts {
        tell.say(&format!("{sender}: {count} {}, numbers without a gap", if *count == 1 { "message" } else { "messages" }));
    }
    Ok(verdict)
}
