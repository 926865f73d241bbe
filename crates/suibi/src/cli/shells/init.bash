# suibi in bash. In ~/.bashrc: eval "$(suibi init bash)"

# What you write, search and edit is your diary: such lines stay out of the history of the shell.
for _suibi_name in @NAMES@; do
    for _suibi_line in "$_suibi_name *" " $_suibi_name *" \
        "*[;|\&({] $_suibi_name *" "*[;|\&({]$_suibi_name *" "*| $_suibi_name" "*|$_suibi_name"; do
        case ":$HISTIGNORE:" in
            *":$_suibi_line:"*) ;;
            *) HISTIGNORE="${HISTIGNORE:+$HISTIGNORE:}$_suibi_line" ;;
        esac
    done
done
unset _suibi_name _suibi_line

# Completions are read when they are asked for first; 124 asks bash to begin again with them.
_suibi_complete() {
    eval "$(command suibi completions bash)"
    complete -F _suibi -o bashdefault -o default "$1"
    return 124
}
complete -o bashdefault -o default -F _suibi_complete suibi
