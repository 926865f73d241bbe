# suibi in fish. In ~/.config/fish/config.fish: suibi init fish | source

# What you write, search and edit is your diary: such lines do not stay in the history of the shell.
function _suibi_history --on-event fish_postexec
    if string match --quiet --regex -- '(^|[\n;&|({])\s*(and |or |not )?(@NAMES@)[\s<]|\|\s*(@NAMES@)\s*$' "$argv"
        # What is kept has no blanks at its end.
        set --local kept (string replace --regex -- '\s+$' '' "$argv" | string collect)
        builtin history delete --exact --case-sensitive -- "$argv" "$kept"
    end
end

command suibi completions fish | source
