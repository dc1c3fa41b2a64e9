//! The catalogue: scientists, telescopes with their maintenances, and proposals.

use std::collections::BTreeMap;

use deadpool_postgres::{Client, GenericClient};

use super::ask;
use super::errors::Error;
use super::readers;
use super::rows::{self, MAINTENANCE, PROPOSAL, REOPENING, SCIENTIST, TELESCOPE};
use crate::agenda::maintenance::{Maintenance, Removed, STANDING_MAX, Stretch};
use crate::agenda::opening::Reopening;
use crate::agenda::{Catalogue, Telescope};

/// Of each telescope the maintenances that were not taken away: those that end last, as many as may stand. The telescope's row is the
/// first column.
const MAINTENANCES: &str = "FROM (
         SELECT *, row_number() OVER (PARTITION BY telescopio_id ORDER BY ultimo_fim_us DESC, id DESC) AS place
         FROM manutencoes WHERE removida_us IS NULL
     ) m WHERE m.place <= $1 ORDER BY m.telescopio_id, m.inicio_us, m.id";

/// Of one telescope the maintenances that were taken away and were between two instants, the last one taken away first.
const REMOVED: &str = "FROM manutencoes m
     WHERE m.telescopio_id = (SELECT id FROM telescopios WHERE codigo = $1) AND m.removida_us IS NOT NULL
     AND m.inicio_us < $3 AND m.ultimo_fim_us > $2 ORDER BY m.removida_us DESC, m.id DESC LIMIT $4";

/// The whole catalogue: some thousands of rows, of one moment.
pub async fn load(client: &mut Client) -> Result<Catalogue, Error> {
    let transaction = readers::moment(client).await?;
    let most = i64::try_from(STANDING_MAX).unwrap_or(i64::MAX);
    let standing: [ask::Value<'_>; 1] = [&most];
    let scientists = format!("SELECT {SCIENTIST} FROM cientistas c ORDER BY c.id");
    let telescopes = format!("SELECT {TELESCOPE} FROM telescopios t ORDER BY t.id");
    let maintenances = format!("SELECT m.telescopio_id, {MAINTENANCE} {MAINTENANCES}");
    let reopening = format!("SELECT t.id, {REOPENING}");
    let proposals = format!("SELECT {PROPOSAL} FROM propostas p");
    // They are sent together, and answered one after the other.
    let (edition, scientists, telescopes, maintenances, reopening, proposals) = tokio::try_join!(
        edition(&transaction),
        ask::rows(&transaction, &scientists, &[]),
        ask::rows(&transaction, &telescopes, &[]),
        ask::rows(&transaction, &maintenances, &standing),
        ask::rows(&transaction, &reopening, &standing),
        ask::rows(&transaction, &proposals, &[]),
    )?;
    let mut of_telescopes: BTreeMap<i64, Vec<Maintenance>> = BTreeMap::new();
    for row in &maintenances {
        of_telescopes.entry(rows::get(row, 0)?).or_default().push(rows::maintenance(row, 1)?);
    }
    let mut reopening_at: BTreeMap<i64, Vec<Reopening>> = BTreeMap::new();
    for row in &reopening {
        reopening_at.entry(rows::get(row, 0)?).or_default().push(rows::reopening(row, 1)?);
    }
    let whole = |row| {
        let (number, telescope) = rows::telescope(row)?;
        let maintenance = of_telescopes.remove(&number).unwrap_or_default().into();
        let reopening = reopening_at.remove(&number).unwrap_or_default().into();
        Ok(Telescope { maintenance, reopening, ..telescope })
    };
    let telescopes = telescopes.iter().map(whole).collect::<Result<_, Error>>()?;
    let scientists = scientists.iter().map(rows::scientist).collect::<Result<_, Error>>()?;
    let proposals = proposals.iter().map(rows::proposal).collect::<Result<_, Error>>()?;
    Ok(Catalogue::new(scientists, telescopes).with_proposals(proposals).of_edition(edition))
}

/// The same, unless its edition is the known one.
pub async fn load_unless(client: &mut Client, known: i64) -> Result<Option<Catalogue>, Error> {
    if edition(client).await? == known { Ok(None) } else { load(client).await.map(Some) }
}

/// The maintenances of a telescope that were taken away and were between two instants, the last one taken away first.
pub async fn removed(
    client: &impl GenericClient,
    code: &str,
    (from, until): Stretch,
    limit: usize,
) -> Result<Vec<Removed>, Error> {
    let (from, until) = (from.as_micros(), until.as_micros());
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = format!("SELECT m.removida_us, {MAINTENANCE} {REMOVED}");
    let found = ask::rows(client, &sql, &[&code, &from, &until, &most]).await?;
    found
        .iter()
        .map(|row| Ok(Removed { maintenance: rows::maintenance(row, 1)?, at: rows::required(row, 0)? }))
        .collect()
}

/// The catalogue's edition.
async fn edition(client: &impl GenericClient) -> Result<i64, Error> {
    let row = ask::row(client, "SELECT catalogo FROM resumo WHERE id = 1", &[]).await?;
    row.map_or_else(|| Err(Error::Unreadable("the table resumo has no row".to_owned())), |row| rows::get(&row, 0))
}
