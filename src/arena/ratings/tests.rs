use super::*;

fn many(votes: &[(&'static str, &'static str, Winner, usize)]) -> Vec<(&'static str, &'static str, Winner)> {
    votes.iter().flat_map(|&(a, b, w, n)| std::iter::repeat_n((a, b, w), n)).collect()
}

fn of(votes: &[(&'static str, &'static str, Winner, usize)]) -> Ratings {
    rate(many(votes), Method::Sandwich).unwrap()
}

/// The published textbook case: wins of the row over the column among four players, 22 games.
fn textbook() -> Vec<(&'static str, &'static str, Winner, usize)> {
    use Winner::A as W;
    vec![
        ("A", "B", W, 2),
        ("A", "D", W, 1),
        ("B", "A", W, 3),
        ("B", "C", W, 5),
        ("C", "B", W, 3),
        ("C", "D", W, 1),
        ("D", "A", W, 4),
        ("D", "C", W, 3),
    ]
}

#[test]
fn the_textbook_case_gives_its_published_strengths() {
    let ratings = of(&textbook());
    assert_eq!(ratings.rows.iter().map(|r| r.battles).sum::<usize>(), 44);
    for (model, strength) in [("A", 0.640), ("B", 1.043), ("C", 0.660), ("D", 2.270)] {
        let row = ratings.rows.iter().find(|r| r.model == model).unwrap();
        let got = ((row.rating - CENTRE) / SCALE).exp();
        assert!((got - strength).abs() < 6e-4, "{model}: {got}");
    }
    assert!((ratings.rows.iter().map(|r| r.rating).sum::<f64>() / 4.0 - CENTRE).abs() < 1e-9);
}

#[test]
fn two_models_have_a_closed_form() {
    // 30 : 10 with no ties: θ = ln 3, Var of the difference = 1 / (n·p·(1−p)).
    let ratings = of(&[("x", "y", Winner::A, 30), ("x", "y", Winner::B, 10)]);
    let comparison = ratings.compare(0, 1).unwrap();
    assert!((comparison.difference - SCALE * 3f64.ln()).abs() < 1e-9);
    let se = SCALE / (40.0f64 * 0.75 * 0.25).sqrt();
    assert!((comparison.ci95[0] - (comparison.difference - 1.959_964 * se)).abs() < 0.02);
    assert!(comparison.distinguishable && comparison.better == "x");
    assert_eq!(ratings.rows.iter().map(|r| r.rank).collect::<Vec<_>>(), [1, 2]);
    // Ties pull together without deciding anything, and both kinds weigh the same.
    let tied = |w| of(&[("x", "y", Winner::A, 30), ("x", "y", Winner::B, 10), ("y", "x", w, 20)]);
    assert_eq!(tied(Winner::Tie), tied(Winner::BothBad));
    assert!((tied(Winner::Tie).compare(0, 1).unwrap().difference - SCALE * 2f64.ln()).abs() < 1e-9);
}

#[test]
fn the_order_and_the_sides_of_votes_change_nothing() {
    let votes = many(&textbook());
    let swapped: Vec<_> = votes.iter().rev().map(|&(a, b, w)| (b, a, w.swapped())).collect();
    for method in [Method::Sandwich, Method::Bootstrap { rounds: 50, seed: 7 }] {
        assert_eq!(rate(votes.clone(), method).unwrap(), rate(swapped.clone(), method).unwrap());
    }
}

#[test]
fn a_model_that_only_wins_gets_a_finite_rating_and_a_remark() {
    let few = of(&[("x", "y", Winner::A, 5)]);
    assert!(few.rows.iter().all(|r| !r.bounded && r.rating.is_finite()));
    // 5:0 has a two-sided sign test of 0.06: not enough.
    assert!(!few.compare(0, 1).unwrap().distinguishable);
    // 20:0 certainly is.
    assert!(of(&[("x", "y", Winner::A, 20)]).compare(0, 1).unwrap().distinguishable);
    // One of many: only that one is marked, and the others keep their ratings and intervals.
    let mut votes = textbook();
    let before = of(&votes);
    votes.push(("E", "A", Winner::A, 6));
    let after = of(&votes);
    assert_eq!(after.rows.iter().filter(|r| !r.bounded).map(|r| r.model.as_str()).collect::<Vec<_>>(), ["E"]);
    for row in &before.rows {
        let same = after.rows.iter().find(|r| r.model == row.model).unwrap();
        // The ridge on H grows with the battles of all, hence the tolerance.
        for (old, new) in [(row.rating, same.rating), (row.ci95[0], same.ci95[0]), (row.ci95[1], same.ci95[1])] {
            assert!((old - new).abs() < 0.05, "{row:?} {same:?}");
        }
    }
}

#[test]
fn groups_that_never_met_are_not_compared() {
    let ratings = of(&[
        ("a", "b", Winner::A, 60),
        ("a", "b", Winner::B, 20),
        ("c", "d", Winner::A, 60),
        ("d", "c", Winner::A, 20),
    ]);
    assert_eq!(ratings.groups(), 2);
    let at = |m: &str| ratings.rows.iter().position(|r| r.model == m).unwrap();
    assert_eq!(ratings.compare(at("a"), at("c")), None);
    assert!(ratings.compare(at("a"), at("b")).is_some());
    // Both winners lead their own group.
    assert_eq!(["a", "b", "c", "d"].map(|m| ratings.rows[at(m)].rank), [1, 2, 1, 2]);
    assert!((ratings.rows[at("a")].rating + ratings.rows[at("b")].rating - 2.0 * CENTRE).abs() < 1e-9);
}

#[test]
fn nothing_to_rate_is_no_error() {
    assert_eq!(rate([], Method::Sandwich).unwrap().rows, []);
    let itself = rate([("a", "a", Winner::A)], Method::Sandwich).unwrap();
    assert!(itself.rows.is_empty() && itself.with_itself == 1 && itself.groups() == 0);
    assert!(rate(many(&textbook()), Method::Bootstrap { rounds: 0, seed: 1 }).is_err());
}

#[test]
fn equal_models_are_never_told_apart() {
    let ratings = of(&[("a", "b", Winner::A, 500), ("a", "b", Winner::B, 500)]);
    let comparison = ratings.compare(0, 1).unwrap();
    assert!(!comparison.distinguishable && comparison.battles_needed.is_none());
    assert_eq!(ratings.rows.iter().map(|r| r.rank).collect::<Vec<_>>(), [1, 1]);
    // 347 points of standard error for one even battle.
    assert!((SCALE * 2.0 - 347.4).abs() < 0.05);
    let needed = battles_needed(35.0).unwrap() as f64;
    assert!((needed / (1.96 * 347.4 / 35.0f64).powi(2) - 1.0).abs() < 0.02, "{needed}");
}

#[test]
fn ties_alone_are_no_certainty() {
    let ratings = of(&[("a", "b", Winner::Tie, 2), ("b", "c", Winner::BothBad, 4)]);
    // Two battles between a and b: a standard error of 347/√2.
    let comparison = ratings.compare(0, 1).unwrap();
    assert_eq!((comparison.better.as_str(), comparison.worse.as_str()), ("a", "b"));
    assert!((comparison.ci95[1] - 1.96 * 347.4 / 2f64.sqrt()).abs() < 0.5, "{comparison:?}");
    assert!(ratings.rows.iter().all(|r| r.rating == CENTRE && r.bounded && r.rank == 1));
}

#[test]
fn the_bootstrap_agrees_with_the_sandwich_on_many_battles() {
    let votes: Vec<_> = textbook().into_iter().map(|(a, b, w, n)| (a, b, w, n * 40)).collect();
    let sandwich = of(&votes);
    let bootstrap = rate(many(&votes), Method::Bootstrap { rounds: 400, seed: 3 }).unwrap();
    for (s, b) in sandwich.rows.iter().zip(&bootstrap.rows) {
        assert_eq!((&s.model, s.rating), (&b.model, b.rating));
        let width = s.ci95[1] - s.ci95[0];
        for side in 0..2 {
            assert!((s.ci95[side] - b.ci95[side]).abs() < 0.15 * width, "{s:?} {b:?}");
        }
    }
    let again = rate(many(&votes), Method::Bootstrap { rounds: 400, seed: 3 }).unwrap();
    assert_eq!(bootstrap, again);
}
