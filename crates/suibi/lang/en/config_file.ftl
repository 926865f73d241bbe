cannot-make = cannot make { $path }
edit-again = put it right: suibi config edit
# The comment at the beginning of a new configuration file.
first-line = Settings of suibi. Take away the # before what you set; `suibi config list` shows what counts.
no-such = there is no setting called `{ $name }`
did-you-mean = did you mean `{ $key }`?
