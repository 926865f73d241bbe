name-no-good = 名字由字母、数字、- 和 _ 组成，以字母开头
not-for-you = 这是给 shell 读的；请把这一行写进 { $file }：{ $line }
zshrc = ~/.zshrc（在 compinit 之后）
