not-a-time = { $name } is not a time such as 2026-11-23T09:05:00.000+08:00
impossible = this machine's clock shows a time that no note can have

# A stretch of time.
seconds = { $count } s
minutes = { $count } min
hours = { $count } h
days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}
years = { $count ->
    [one] { $count } year
   *[other] { $count } years
}
