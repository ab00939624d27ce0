//! An ivory container from origin to destination: a seizure is told to an operation, reported, asked about, and answered.

use proto::v1::{Kind, Priority};

use crate::letters::{all_read, answer, close, found, letter, read, send, standing};
use crate::scene::Scene;
use client::Compose;

/// Plays it.
///
/// # Errors
/// When anything does not happen as it must.
pub(super) async fn play(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let members = ["ke", "th", "cn", "ke/cus/kemba", "th/cus/thbkk", "ipsg/ens"];
    let [mut kenya, mut thailand, mut china, mut mombasa, mut bangkok, mut secretariat] = scene.cast(members).await?;
    let tell = &mut *scene.tell;

    tell.step("Kenya, Thailand and China run an operation against ivory in containers");
    let operation = found(&mut kenya, &members[..5], tell).await?;
    for client in [&mut thailand, &mut china, &mut mombasa, &mut bangkok] {
        client.refresh_directory().await?;
    }

    tell.step("Customs in Bangkok open a container of tea and tell the operation");
    let seizure = Compose { priority: Priority::Urgent, ..letter(Kind::Seizure, &[operation.as_str()], SEIZURE)? };
    let seizure = send(&mut bangkok, seizure, tell).await?;
    all_read(&mut [&mut thailand, &mut kenya, &mut china, &mut mombasa], &seizure.reference, tell).await?;

    tell.step("... and report it to the country of origin and to the General Secretariat");
    let report = send(&mut bangkok, letter(Kind::Ecomessage, &["ke", "ipsg/ens"], REPORT)?, tell).await?;
    read(&mut secretariat, &report.reference, tell).await?;

    tell.step("Thailand's bureau asks the exporter's bureau");
    let request = Compose { priority: Priority::Urgent, ..letter(Kind::Request, &["ke"], "Who packed and sealed CSQU3054383, and when?")? };
    let request = send(&mut thailand, request, tell).await?;
    read(&mut kenya, &request.reference, tell).await?;
    let inward = letter(Kind::Request, &["ke/cus/kemba"], "Papers of CSQU3054383, please: exporter, packer, seal.")?;
    let inward = send(&mut kenya, inward, tell).await?;
    read(&mut mombasa, &inward.reference, tell).await?;

    tell.step("The port answers its bureau, and the bureau answers Thailand");
    let papers =
        answer(Kind::Reply, &["ke"], &inward.reference, "Packed at Changamwe on the 3rd; seal KE774201; the exporter's address is empty.")?;
    let papers = send(&mut mombasa, papers, tell).await?;
    read(&mut kenya, &papers.reference, tell).await?;
    let reply =
        answer(Kind::Reply, &["th"], &request.reference, "Final: packed on the 3rd, seal KE774201. Two arrests in Changamwe today.")?;
    let reply = send(&mut kenya, reply, tell).await?;
    read(&mut thailand, &reply.reference, tell).await?;
    standing(&mut thailand, &request.reference, tell).await?;
    close(&mut kenya, &operation, tell).await?;

    drop((kenya, thailand, china, mombasa, bangkok, secretariat));
    scene.audit().await.map(drop)
}

const SEIZURE: &str = "Ivory in container CSQU3054383, declared as tea, from Mombasa. Look for its sister containers.";
const REPORT: &str = r#"{"heading":{"reportType":"initial","crimeArea":"wildlife"},"incident":{"what":"seizure","place":{"locode":{"raw":"THBKK"}}},
    "goods":[{"taxon":"Loxodonta africana","term":"tusks","quantity":{"mantissa":312,"unit":"kg"}}],"transports":[{"mode":"sea",
    "container":{"raw":"CSQU3054383"},"legs":[{"at":"UGKLA","role":"origin"},{"at":"KEMBA","role":"export"},{"at":"THBKK","role":"import"}]}]}"#;
