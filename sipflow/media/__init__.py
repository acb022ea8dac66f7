"""RTP media: lent ports, one pacer for all calls, one stream per call, what is played into it. A shell: owns sockets."""
