waiting = waiting for notes; Ctrl-C ends
offline = the server does not answer; still listening
online = the server answers again
