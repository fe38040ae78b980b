//! The media relays: whether each daemon of rtpengine answers.

use super::report::Report;
use crate::{config::Config, media};

pub(super) async fn look(config: &Config, report: &mut Report) {
    if !config.relays_media() {
        if !config.edge.edges.0.is_empty() {
            report.warn(
                "media",
                "audio with phones outside goes by no relay: it finds its way by ICE and TURN, or not",
                "run rtpengine, and set call.media = \"rtpengine\" (docs/operations/media.md)",
            );
        }
        return;
    }
    for at in &config.media.rtpengine.0 {
        match media::answers(*at, config.media.answer_within.0).await {
            Ok(()) => report.ok("media", format!("rtpengine answers at {at}")),
            Err(why) => report.fail(
                "media",
                format!("rtpengine does not answer at {at}: {why}"),
                "see that it runs (`systemctl status rtpengine-daemon`), and that its listen-ng is this address",
            ),
        }
    }
}
