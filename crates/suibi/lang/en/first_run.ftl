each-line = No notes yet. Each line that you write is one; Enter keeps it.
in-the-shell = @shop is a tag. In the shell: suibi bought milk @shop, suibi today, suibi search milk.
place = Notes are kept in { $path }; suibi init keeps them out of the shell's history.
