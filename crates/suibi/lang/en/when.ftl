# Times that people write.
unknown = `{ $text }` is no time that I understand
no-such-day = the calendar has no such day: { $text }
backwards = { $text } ends before it begins
not-one-day = `{ $text }` is not one day
option = { $option }: { $why }
twice = the time is said twice
no-tag = `{ $text }` is no tag
hint = times look like yesterday, 'last fri 9:30', 'last week', 2026-10..2026-11, 昨天下午三点, 上个月
hint-moment = times look like 'yesterday 3pm', 'last fri 9:30', 2026-11-23, 昨天下午三点
hint-add = times look like yesterday, 'last week', 2026-11-23, 上个月; to write a note: suibi add { $words }
moved = no clock here showed that time, it was put forward then; the note is at { $time }
several-dated = { $notes ->
    [one] { $notes } of them at the time that it begins with
   *[other] { $notes } of them at the times that they begin with
}
