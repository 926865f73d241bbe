nothing-yet = nothing has happened yet: nobody was invited, nobody joined, nobody was refused
when = WHEN
what = WHAT
device = DEVICE
journal = JOURNAL
from = FROM
more = MORE

# What happened; in JSON these are words that do not change.
invited = invited
withdrawn = withdrawn
joined = joined
renamed = renamed
revoked = revoked
exported = exported
journal-added = journal added
refused = refused
recovered = recovered
rescued = rescued
rebuilt = rebuilt
purged = purged
