write-hint = 要写成随笔：suibi -- { $words }
help-hint = 更多说明：suibi { $command } --help；要写成随笔：suibi add { $words }
among-words = `{ $name }` 夹在随笔的内容里，没有写入
among-words-hint = 选项要写在前面：suibi { $name } … TEXT；要照原样写下：{ $way } -- { $words }
reserved = `{ $word }` 留作将来的命令，没有写入
does-not-fit = `{ $word }` 是命令，“{ $rest }”与它不符，什么也没有做
