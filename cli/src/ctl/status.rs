//! `quorate ctl status`.

use anyhow::Result;

use super::Context;
use crate::failure::Silent;

/// Asks every endpoint. Those that do not answer are told about on standard error and make the
/// command fail, but not before the others had their say.
pub(super) async fn run(context: &mut Context) -> Result<()> {
    let mut answers = Vec::new();
    let mut all_well = true;
    for (at, endpoint) in context.client.endpoints().iter().enumerate() {
        match context.client.status(at).await {
            Ok(status) => answers.push((endpoint.to_string(), status)),
            Err(error) => {
                all_well = false;
                eprintln!("error: no status from {endpoint}: {error}");
            }
        }
    }
    context.printer.status(&answers)?;
    if all_well { Ok(()) } else { Err(Silent.into()) }
}
