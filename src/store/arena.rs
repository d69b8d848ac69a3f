//! Arenas: their questions and battles. A battle is stored before it is voted on, so a vote that was not given
//! before the program ended is asked for again.

use super::{Store, now};
use crate::arena::battle::{Battle, Question, Winner};
use crate::error::{Error, Kind, Result};
use crate::tr;
use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// An arena and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArenaRecord {
    /// Its name on the command line.
    pub name: String,
    /// When it was made, RFC 3339 UTC.
    pub created_at: String,
    /// Questions it holds.
    pub questions: i64,
    /// Battles, voted on or not.
    pub battles: i64,
    /// Battles that wait for a vote.
    pub pending: i64,
}

impl Store {
    /// Makes an arena unless there is one of that name; says whether it did.
    pub fn create_arena(&self, name: &str) -> Result<bool> {
        let done = self.wait(
            sqlx::query("INSERT INTO arenas (name, created_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING")
                .bind(name)
                .bind(now())
                .execute(&self.pool),
        )?;
        Ok(done.rows_affected() > 0)
    }

    /// All arenas by name.
    pub fn arenas(&self) -> Result<Vec<ArenaRecord>> {
        let rows = self.wait(
            sqlx::query(
                "SELECT name, created_at,
                        (SELECT count(*) FROM questions WHERE arena = name) AS questions,
                        (SELECT count(*) FROM battles WHERE arena = name) AS battles,
                        (SELECT count(*) FROM battles WHERE arena = name AND winner IS NULL) AS pending
                 FROM arenas ORDER BY name",
            )
            .fetch_all(&self.pool),
        )?;
        Ok(rows
            .iter()
            .map(|row| ArenaRecord {
                name: row.get("name"),
                created_at: row.get("created_at"),
                questions: row.get("questions"),
                battles: row.get("battles"),
                pending: row.get("pending"),
            })
            .collect())
    }

    /// One arena.
    ///
    /// # Errors
    /// `NotFound`, with the names there are.
    pub fn arena(&self, name: &str) -> Result<ArenaRecord> {
        let all = self.arenas()?;
        let names: Vec<&str> = all.iter().map(|a| a.name.as_str()).collect();
        let hint = if names.is_empty() {
            tr!("`linly-bench arena new {name}` makes it", "用 `linly-bench arena new {name}` 创建")
        } else {
            let names = names.join(", ");
            tr!(
                "there are: {names}; `linly-bench arena new {name}` makes it",
                "现有：{names}；用 `linly-bench arena new {name}` 创建"
            )
        };
        all.into_iter()
            .find(|arena| arena.name == name)
            .ok_or_else(|| Error::new(Kind::NotFound, tr!("no arena `{name}`", "没有竞技场 `{name}`")).hint(hint))
    }

    /// Adds questions to an arena; one whose id is there replaces that one. Gives the number of new ids.
    pub fn put_questions(&self, arena: &str, questions: &[Question]) -> Result<usize> {
        let count = "SELECT count(*) FROM questions WHERE arena = ?";
        self.wait(async {
            let mut tx = self.pool.begin().await?;
            let before: i64 = sqlx::query_scalar(count).bind(arena).fetch_one(&mut *tx).await?;
            for q in questions {
                sqlx::query(
                    "INSERT OR REPLACE INTO questions (arena, id, text, reference, language) VALUES (?, ?, ?, ?, ?)",
                )
                .bind(arena)
                .bind(&q.id)
                .bind(&q.text)
                .bind(&q.reference)
                .bind(&q.language)
                .execute(&mut *tx)
                .await?;
            }
            let after: i64 = sqlx::query_scalar(count).bind(arena).fetch_one(&mut *tx).await?;
            tx.commit().await?;
            Ok((after - before) as usize)
        })
    }

    /// An arena's questions, by id: short ids first, so that `q2` comes before `q10`.
    pub fn questions(&self, arena: &str) -> Result<Vec<Question>> {
        let rows = self.wait(
            sqlx::query("SELECT * FROM questions WHERE arena = ? ORDER BY length(id), id")
                .bind(arena)
                .fetch_all(&self.pool),
        )?;
        Ok(rows
            .iter()
            .map(|row| Question {
                id: row.get("id"),
                text: row.get("text"),
                reference: row.get("reference"),
                language: row.get("language"),
            })
            .collect())
    }

    /// Stores battles, all of them or none.
    pub fn add_battles(&self, arena: &str, battles: &[Battle]) -> Result<()> {
        self.wait(async {
            let mut tx = self.pool.begin().await?;
            for b in battles {
                sqlx::query(
                    "INSERT INTO battles (arena, run_id, question_id, question, model_a, model_b, answer_a, answer_b,
                     conversation_a, conversation_b, winner, judge, anony, language, turn, flagged, tstamp)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(arena)
                .bind(&b.run_id)
                .bind(&b.question_id)
                .bind(&b.question)
                .bind(&b.model_a)
                .bind(&b.model_b)
                .bind(&b.answer_a)
                .bind(&b.answer_b)
                .bind(&b.conversation_a)
                .bind(&b.conversation_b)
                .bind(b.winner.map(Winner::label))
                .bind(&b.judge)
                .bind(b.anony)
                .bind(&b.language)
                .bind(b.turn)
                .bind(&b.flagged)
                .bind(&b.tstamp)
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await
        })
    }

    /// An arena's battles in the order in which they were stored.
    pub fn battles(&self, arena: &str) -> Result<Vec<Battle>> {
        let rows = self
            .wait(sqlx::query("SELECT * FROM battles WHERE arena = ? ORDER BY id").bind(arena).fetch_all(&self.pool))?;
        Ok(rows.iter().map(battle).collect())
    }

    /// One battle and the arena it belongs to.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn battle(&self, id: i64) -> Result<(String, Battle)> {
        let row = self.wait(sqlx::query("SELECT * FROM battles WHERE id = ?").bind(id).fetch_optional(&self.pool))?;
        row.map(|row| (row.get("arena"), battle(&row)))
            .ok_or_else(|| Error::new(Kind::NotFound, tr!("no battle {id}", "没有对战 {id}")))
    }

    /// Records the vote on a battle that waits for one; false when it had been voted on.
    pub fn vote(&self, id: i64, winner: Winner, judge: &str) -> Result<bool> {
        let done = self.wait(
            sqlx::query("UPDATE battles SET winner = ?, judge = ? WHERE id = ? AND winner IS NULL")
                .bind(winner.label())
                .bind(judge)
                .bind(id)
                .execute(&self.pool),
        )?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes a person's vote back; false when there is none. Whoever gave it has seen the names by then, so the battle
    /// is marked as not blind: a later vote on it is kept and does not rate.
    pub fn take_vote_back(&self, id: i64) -> Result<bool> {
        let done = self.wait(
            sqlx::query(
                "UPDATE battles SET winner = NULL, judge = '', anony = 0
                 WHERE id = ? AND winner IS NOT NULL AND judge = 'human'",
            )
            .bind(id)
            .execute(&self.pool),
        )?;
        Ok(done.rows_affected() > 0)
    }
}

fn battle(row: &SqliteRow) -> Battle {
    Battle {
        id: row.get("id"),
        run_id: row.get("run_id"),
        question_id: row.get("question_id"),
        question: row.get("question"),
        model_a: row.get("model_a"),
        model_b: row.get("model_b"),
        answer_a: row.get("answer_a"),
        answer_b: row.get("answer_b"),
        conversation_a: row.get("conversation_a"),
        conversation_b: row.get("conversation_b"),
        winner: row.get::<Option<String>, _>("winner").and_then(|label| Winner::from_label(&label)),
        judge: row.get("judge"),
        anony: row.get("anony"),
        language: row.get("language"),
        turn: row.get("turn"),
        flagged: row.get("flagged"),
        tstamp: row.get("tstamp"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(id: &str, text: &str) -> Question {
        Question { id: id.into(), text: text.into(), reference: "r".into(), language: "zh".into() }
    }

    #[test]
    fn what_is_stored_is_there_after_reopening() {
        let home = tempfile::tempdir().unwrap();
        let waiting = Battle {
            question_id: "q1".into(),
            question: "什么是\u{1b}[31m债券".into(),
            model_a: "m".into(),
            model_b: "m+a".into(),
            anony: true,
            turn: 1,
            tstamp: now(),
            ..Battle::default()
        };
        let voted = Battle {
            winner: Some(Winner::BothBad),
            judge: "human".into(),
            anony: false,
            flagged: "x".into(),
            ..waiting.clone()
        };
        {
            let store = Store::open(home.path()).unwrap();
            assert!(store.create_arena("金融").unwrap() && !store.create_arena("金融").unwrap());
            assert_eq!(store.put_questions("金融", &[question("q10", "十"), question("q2", "二")]).unwrap(), 2);
            assert_eq!(store.put_questions("金融", &[question("q2", "改")]).unwrap(), 0);
            store.add_battles("金融", &[waiting.clone(), voted.clone()]).unwrap();
        }
        let store = Store::open(home.path()).unwrap();
        let record = store.arena("金融").unwrap();
        assert_eq!((record.questions, record.battles, record.pending), (2, 2, 1));
        assert_eq!(store.questions("金融").unwrap(), [question("q2", "改"), question("q10", "十")]);
        let battles = store.battles("金融").unwrap();
        assert_eq!(battles[0], Battle { id: battles[0].id, ..waiting });
        assert_eq!(battles[1], Battle { id: battles[1].id, ..voted });
        assert!(store.vote(battles[0].id, Winner::Tie, "human").unwrap());
        assert!(!store.vote(battles[0].id, Winner::A, "human").unwrap(), "a vote is not overwritten");
        assert_eq!(store.battle(battles[0].id).unwrap().1.winner, Some(Winner::Tie));
    }

    #[test]
    fn what_is_missing_is_not_found() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        assert_eq!(store.arena("x").unwrap_err().kind, Kind::NotFound);
        assert_eq!(store.battle(1).unwrap_err().kind, Kind::NotFound);
        // A battle cannot be put into an arena that is not there, and nothing of the batch stays.
        assert!(store.add_battles("x", &[Battle::default()]).is_err());
        assert!(store.battles("x").unwrap().is_empty());
    }
}
