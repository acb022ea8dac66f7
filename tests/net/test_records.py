from sipflow.net.records import Answer, Naptr, Srv


def test_an_answer_is_empty_when_it_brought_no_record_of_any_kind() -> None:
    assert [
        Answer().empty,
        Answer(problem="DNS says the name does not exist").empty,
        Answer(naptr=(Naptr(1, 1, "s", "SIP+D2U", "_sip._udp.example.com"),)).empty,
        Answer(srv=(Srv(1, 1, 5060, "a.example.com"),)).empty,
        Answer(addresses=("192.0.2.1",)).empty,
    ] == [True, True, False, False, False]
