# Seven and twelve words, Monday and January first, of at most three columns.
weekdays = Mon Tue Wed Thu Fri Sat Sun
months = Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec
less = less
more = more
none = no notes from { $since } to { $until }
# What stands before each line, and the line.
notes = notes
notes-are = { $days ->
    [one] { $notes }, all on one day
   *[other] { $notes } on { $days } days, { $each } on each
}
all = in all
all-are = { $notes } since { $first }
streak = in a row
streak-now = { $now ->
    [one] one day now
   *[other] { $now } days now
}
streak-longest = { $now }; { $longest } at most, { $since } to { $until }
busiest = most
busiest-is = { $day }, { $notes ->
    [one] one note
   *[other] { $notes } notes
}
words = words
words-with-chinese = { $words }, of which { $characters } are Chinese characters
hours = hours
devices = from
year = YEAR is a year such as 2026
