# SPDX-License-Identifier: MIT
# Completion of ipcctl for bash: ipcctl itself says how a word may go on.

_ipcctl() {
	local word words=() line current i program=${COMP_WORDS[0]}

	# bash breaks words at = and : as well; here --type=queue and maxsize=3 are one word each.
	for ((i = 1; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if ((i > 1)) && [[ $word == [=:]* || ${words[-1]} == *[=:] ]] &&
			[[ ${COMP_LINE} == *"${words[-1]}$word"* ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
	done
	current=${words[-1]}
	for i in "${!words[@]}"; do # as the shell would hand them over: without quotes
		word=${words[i]#[\"\']}
		words[i]=${word//\\/}
	done
	compopt -o nospace 2> /dev/null
	COMPREPLY=()
	while IFS=$'\t' read -r word _; do
		case $word in
		:command) mapfile -t COMPREPLY < <(compgen -c -- "${words[-1]}") ;;
		:file)
			compopt -o filenames 2> /dev/null
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${words[-1]}")
			;;
		*)
			line=$word
			if [[ $current == *[=:]* ]]; then # only what is behind the last break is replaced
				line=${line#"${words[-1]%"${words[-1]##*[=:]}"}"}
			fi
			[[ $line == *[!A-Za-z0-9_./,=+@:-]* && $current != [\"\']* ]] && printf -v line '%q' "$line"
			[[ $word == *[/=] ]] || line+=' '
			COMPREPLY+=("$line")
			;;
		esac
	done < <("$program" --complete "${words[@]}" 2> /dev/null)
}

complete -o bashdefault -o default -F _ipcctl ipcctl
