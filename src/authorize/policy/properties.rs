//! Properties of the policies of all kinds of sessions, for all rights of two scopes.

use super::*;
use crate::authorize::operations::SessionPlan;
use crate::authorize::rights::Right;
use crate::s3::names::Prefix;
use std::collections::HashSet;

/// An action that a policy allows on a resource, with the prefixes of its lists.
type Allowed = (String, String, Option<String>);

fn strings(value: &serde_json::Value) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten();
    texts.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Returns everything that a policy allows.
fn allowed(policy: &SessionPolicy) -> HashSet<Allowed> {
    let policy: serde_json::Value = serde_json::from_str(policy.json()).unwrap();
    let mut all = HashSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        let prefixes = strings(&statement["Condition"]["StringLike"]["s3:prefix"]);
        let prefixes: Vec<_> = prefixes.into_iter().map(Some).collect();
        let prefixes = if prefixes.is_empty() { vec![None] } else { prefixes };
        for action in strings(&statement["Action"]) {
            for resource in strings(&statement["Resource"]) {
                all.extend(prefixes.iter().map(|prefix| (action.clone(), resource.clone(), prefix.clone())));
            }
        }
    }
    all
}

/// Returns what requests of a row in a scope need, if they require these rights.
fn needed(row: &'static Spec, needs: Rights, scope: &Scope) -> HashSet<Allowed> {
    let actions = row.actions_with(needs);
    let bucket = format!("arn:aws:s3:::{}", scope.bucket);
    let (resource, prefix) = match row.shape {
        Shape::Object => (format!("{bucket}/{}*", scope.prefix), None),
        _ if row.operation.lists() => (bucket, Some(format!("{}*", scope.prefix))),
        _ => (bucket, None),
    };
    actions.map(|action| (action.to_owned(), resource.clone(), prefix.clone())).collect()
}

/// Returns what the requests of a kind need in all scopes that grant them, and nothing else.
fn expected(kind: SessionKind, scopes: &[Scope]) -> HashSet<Allowed> {
    let granting = |needs: Rights| scopes.iter().filter(move |scope| scope.allow.has_all(needs));
    let mut all = HashSet::new();
    for (row, needs) in TABLE.iter().flat_map(|row| row.forms().map(move |needs| (row, needs))) {
        if !kind.signs(row.session_with(needs)) || granting(needs).next().is_none() {
            continue;
        }
        let judged = row.each.unwrap_or(row);
        let of_judged = || judged.forms().filter(|needs| kind.signs(judged.session_with(*needs)));
        if row.source.is_none_or(|source| granting(source.needs()).next().is_some()) {
            all.extend(
                of_judged()
                    .flat_map(|needs| granting(needs).flat_map(move |scope| needed(judged, needs, scope))),
            );
            let sources = row.source.into_iter().flat_map(|row| row.forms().map(move |needs| (row, needs)));
            all.extend(
                sources.flat_map(|(row, needs)| {
                    granting(needs).flat_map(move |scope| needed(row, needs, scope))
                }),
            );
        }
    }
    all
}

/// Returns two scopes for all pairs of sets of rights.
fn all_scopes() -> impl Iterator<Item = [Scope; 2]> {
    let sets = || {
        (0..1_u32 << Right::ALL.len()).map(|bits| {
            let has = move |at: usize| bits & (1 << at) != 0;
            Right::ALL
                .into_iter()
                .enumerate()
                .filter(move |(at, _)| has(*at))
                .map(|(_, right)| right)
                .collect()
        })
    };
    let scope = |prefix: &str, allow: Rights| {
        Scope::new(BucketName::parse("tmp").unwrap(), Prefix::parse(prefix).unwrap(), allow)
    };
    sets().flat_map(move |one| sets().map(move |other| [scope("a/", one), scope("b/", other)]))
}

#[test]
fn a_session_can_do_what_its_operations_need_where_the_scopes_grant_them_and_nothing_else() {
    for scopes in all_scopes() {
        for kind in SessionKind::ALL {
            let compiled = SessionPolicy::of(kind, &scopes);
            let found = compiled.as_ref().map(allowed).unwrap_or_default();
            assert_eq!(found, expected(kind, &scopes), "{kind}: {scopes:?}");
            assert_eq!(compiled.is_none(), found.is_empty(), "{kind}: {scopes:?}");
            assert_eq!(compiled.is_some(), SessionPolicy::is_needed(kind, &scopes), "{kind}: {scopes:?}");
        }
    }
}

#[test]
fn split_sessions_can_do_together_what_one_session_can() {
    for scopes in all_scopes() {
        let of = |plan: SessionPlan| {
            let policies = plan.kinds().filter_map(|kind| SessionPolicy::of(kind, &scopes));
            policies.flat_map(|policy| allowed(&policy)).collect::<HashSet<_>>()
        };
        assert_eq!(of(SessionPlan::Split), of(SessionPlan::One), "{scopes:?}");
    }
}

/// The session of every granted request exists.
#[test]
fn every_granted_operation_has_a_session() {
    for scopes in all_scopes() {
        for (row, needs) in TABLE.iter().flat_map(|row| row.forms().map(move |needs| (row, needs))) {
            let grants = |needs: Rights| scopes.iter().any(|scope| scope.allow.has_all(needs));
            let is_granted = grants(needs) && row.source.is_none_or(|source| grants(source.needs()));
            for plan in [SessionPlan::Split, SessionPlan::One] {
                let policy = SessionPolicy::of(plan.kind_for(row.session_with(needs)), &scopes);
                let is_local = row.shape == Shape::Service;
                assert!(!is_granted || policy.is_some() || is_local, "{row:?}, {needs}: {scopes:?}");
            }
        }
    }
}
