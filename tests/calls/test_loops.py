from sipflow.calls.loops import Loops


def test_a_call_of_ours_is_known_again_by_its_call_id() -> None:
    loops = Loops()
    loops.on_behalf("leg", ("+1", "+2"))
    loops.launched("leg", "a@b")

    assert (loops.behind("a@b"), loops.behind("else")) == (("+1", "+2"), ())


def test_of_several_invites_of_a_call_the_last_one_counts() -> None:
    loops = Loops()
    loops.on_behalf("leg", ("+1",))
    loops.launched("leg", "first")
    loops.launched("leg", "second")

    assert (loops.behind("first"), loops.behind("second")) == ((), ("+1",))


def test_a_call_on_nobodys_behalf_is_not_remembered() -> None:
    loops = Loops()
    loops.on_behalf("leg", ())
    loops.launched("leg", "a@b")

    assert (loops.behind("a@b"), len(loops)) == ((), 0)


def test_nothing_stays_of_a_call_that_is_over() -> None:
    loops = Loops()
    loops.on_behalf("leg", ("+1",))
    loops.launched("leg", "a@b")
    loops.over("leg")
    loops.over("leg")

    assert (loops.behind("a@b"), len(loops), vars(loops)) == (
        (),
        0,
        {"_numbers": {}, "_launched": {}, "_by_call_id": {}},
    )
