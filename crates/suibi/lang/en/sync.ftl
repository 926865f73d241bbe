left-behind = notes of before this machine joined are not taken along yet: { $why }
stopped = stopped: { $parts }; all of that is kept, and the next suibi command goes on from there
sent = { $changes } sent
received = { $changes } received
waiting = { $changes } still waiting
refused = { $changes } still waiting, the server does not take them
in-step = in step with the server · { $parts }
rescued = { $changes ->
    [one] { $changes } change saved from a copy of this device that went its own way
   *[other] { $changes } changes saved from a copy of this device that went its own way
}
recovered = { $changes ->
    [one] { $changes } change given back to the server, which had been put back to an older state
   *[other] { $changes } changes given back to the server, which had been put back to an older state
}
rebuilt = { $changes ->
    [one]
    the notes kept here were damaged and are rebuilt from the server; { $changes } change that only
    this device had was kept; the damaged file: { $file }
   *[other]
    the notes kept here were damaged and are rebuilt from the server; { $changes } changes that only
    this device had were kept; the damaged file: { $file }
}

# How far a long exchange is, on a bar; the words in braces are filled in by it.
bar = {"{"}bar:24{"}"} {"{"}human_pos{"}"} of {"{"}human_len{"}"} changes · {"{"}per_sec:.0{"}"} · {"{"}eta{"}"} left
