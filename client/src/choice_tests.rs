use super::*;

const NOW: Duration = Duration::from_secs(100);

#[test]
fn the_endpoint_in_use_stays_in_use() {
    let mut choice = Choice::new(3);
    assert_eq!(choice.pick(NOW), (0, Duration::ZERO));
    choice.worked(2);
    assert_eq!(choice.pick(NOW), (2, Duration::ZERO));
}

#[test]
fn after_a_failure_the_next_one_is_used_and_kept() {
    let mut choice = Choice::new(3);
    choice.failed(0, NOW, 0);
    assert_eq!(choice.pick(NOW), (1, Duration::ZERO));
    choice.worked(1);
    // The first has rested long since, and still there is no reason to go back.
    assert_eq!(choice.pick(NOW * 2), (1, Duration::ZERO));
}

#[test]
fn when_all_rest_the_first_to_wake_is_waited_for() {
    let mut choice = Choice::new(2);
    choice.failed(0, NOW, 0);
    choice.failed(1, NOW, 0);
    choice.failed(1, NOW, 0);
    assert_eq!(choice.pick(NOW), (0, BACKOFF_MIN));
    assert_eq!(choice.pick(NOW + BACKOFF_MIN), (0, Duration::ZERO));
}

#[test]
fn the_wait_doubles_up_to_its_bound_and_starts_anew_after_success() {
    let mut choice = Choice::new(1);
    let mut waits = Vec::new();
    for _ in 0..40 {
        choice.failed(0, NOW, 0);
        waits.push(choice.pick(NOW).1);
    }
    assert_eq!(waits[0], BACKOFF_MIN);
    assert_eq!(waits[1], BACKOFF_MIN * 2);
    assert_eq!(waits[39], BACKOFF_MAX);
    choice.worked(0);
    choice.failed(0, NOW, 0);
    assert_eq!(choice.pick(NOW).1, BACKOFF_MIN);
}

#[test]
fn dice_shorten_the_wait_by_at_most_a_quarter() {
    for dice in [0, 1, 1023, 1024, u32::MAX] {
        let mut choice = Choice::new(1);
        choice.failed(0, NOW, dice);
        let (_, wait) = choice.pick(NOW);
        assert!(
            wait <= BACKOFF_MIN && wait >= BACKOFF_MIN * 3 / 4,
            "{wait:?}"
        );
    }
}
