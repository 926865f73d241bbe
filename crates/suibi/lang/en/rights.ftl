# What a device may do: after "this device may" and its like.
may-drop = add notes and see none (a drop)
read = read
write = write
administer = administer
nothing = nothing
only = { $what } only
two = { $first } and { $last }
comma = ,{ " " }
drop = add (a drop)
