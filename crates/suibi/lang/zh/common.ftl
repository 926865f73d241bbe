and = { $what }；{ $more }
because = { $what }：{ $why }
nothing-done = 什么也没有做
and-nothing-done = { $what }，什么也没有做
add-hint = 要写成随笔：suibi add { $words }
