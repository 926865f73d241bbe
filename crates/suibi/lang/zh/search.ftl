none-with = 没有随笔包含 { $words }
did-you-mean = 是不是要找：suibi search { $words }
did-you-mean-here = 是不是要找：/search { $words }
