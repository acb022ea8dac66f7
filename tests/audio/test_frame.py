from sipflow.audio.frame import Frame


def test_a_frame_of_320_bytes_at_8_khz_is_20_ms() -> None:
    frame = Frame(bytes(320))

    assert (frame.samples, frame.duration_ms, frame.sample_rate_hz) == (160, 20.0, 8000)


def test_frames_of_the_same_sound_are_equal() -> None:
    assert Frame(b"\1\0", 16000) == Frame(b"\1\0", 16000) != Frame(b"\1\0", 8000)
