"""RTP media, a shell: lent ports, one pacer for all calls, one stream per call, what is played into it."""
