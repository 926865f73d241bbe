set-in = set in { $file }
goes-before = for now { $origin } goes before it
beyond-hint = that is beyond this machine, and the way there is not encrypted; before it is used, say that you trust the network: suibi config set insecure true
was-not-set = `{ $key }` was not set in { $file }
taken-out = taken out of { $file }
not-set = `{ $key }` is not set
from = from: { $origin }
file = config file: { $file }
