years-ago = { $years ->
    [one] a year ago
   *[other] { $years } years ago
}
months-ago = { $months ->
    [one] a month ago
   *[other] { $months } months ago
}
weeks-ago = { $weeks ->
    [one] a week ago
   *[other] { $weeks } weeks ago
}
none-then = nothing was written on { $day } in earlier years
none-earlier = nothing was written on days like { $day }
