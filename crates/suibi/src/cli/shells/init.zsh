# suibi in zsh. In ~/.zshrc, after compinit: eval "$(suibi init zsh)"

# What you write, search and edit is your diary: such lines stay out of the history of the shell. The last one can be
# called back until the next is entered.
_suibi_history() {
    emulate -L zsh -o extended_glob
    [[ ${1%$'\n'} != (|*[$'\n'\;\&\|\(\{])[[:blank:]]#(@NAMES@)[[:blank:]\<]* &&
        ${1%$'\n'} != *\|[[:blank:]]#(@NAMES@)[[:blank:]]# ]]
}
autoload -Uz add-zsh-hook
add-zsh-hook zshaddhistory _suibi_history

# Completions are read when they are asked for first.
if (( $+functions[compdef] )); then
    _suibi_complete() {
        eval "$(command suibi completions zsh)"
        compdef _suibi suibi
        _suibi "$@"
    }
    compdef _suibi_complete suibi
fi
