# Run by busybox sh on this kernel and on Linux: the output must be the same.
dir=/tmp/shell-test
rm -rf $dir; mkdir -p $dir/sub; cd $dir || exit 1
greet() { local who=$1; echo "hello, ${who:-nobody}"; return 3; }
greet world; echo "status $?"
greet; echo "status $?"
i=1; sum=0
while [ $i -le 20 ]; do sum=$((sum + i * i)); i=$((i + 1)); done
echo "sum of squares $sum, hex $(printf %x $sum), $((sum % 7 << 2 | 1))"
for word in pear fig apple fig cherry; do echo $word; done > words
sort words | uniq -c | sed 's/^ *//' | tee counted
echo "longest: $(awk '{ if (length($0) > n) { n = length($0); w = $0 } } END { print w, n }' words)"
cat > numbers << END
one 1
two 2
three $((1 + 2))
END
awk '{ total += $2; print NR ": " $1 } END { print "total", total }' numbers
sed -n -e '2,$s/\([a-z]*\) \([0-9]\)/\2=\1/p' numbers | tr a-z A-Z
seq 1 2000 | sha256sum
dd if=/dev/zero bs=1000 count=300 2>/dev/null | sha256sum | cut -c 1-16
yes | head -n 10000 | wc -l
cp words sub/copy; mv sub/copy sub/moved; ln -s moved sub/link; cp -p sub/moved sub/twin
cat sub/link | md5sum; readlink sub/link; ls -1 sub; find . -type f | sort
tar cf t.tar words sub && mkdir out && tar xf t.tar -C out && diff -r sub out/sub && echo "tar agrees"
grep -c fig words; grep -q banana words || echo "no banana: $?"
false | true; echo "pipeline $?"; ! true; echo "negated $?"
(exit 7); echo "subshell $?"; sh -c 'kill -TERM $$'; echo "killed $?"
nosuchcommand 2>/dev/null; echo "not found $?"
echo data > file; echo more >> file; wc -c < file; : > file; [ -s file ] || echo "empty"
exec 3> three; echo "to three" >&3; exec 3>&-; cat three; ls nothing 2>&1 | sed 's/^[a-z]*: //'
case $(basename $PWD) in shell-*) echo "case matches";; *) echo "case fails";; esac
(trap 'echo "trap ran"' EXIT; echo "before it")
sh -c 'trap "echo got USR1" USR1; kill -USR1 $$; echo still here'
for n in 3 1 2; do (sleep $((n / 2)).$((n % 2 * 5)); echo "slept $n") & done; wait; echo "all done"
sh -c 'exit 5' & wait $!; echo "background $?"
a="x y  z"; set -- $a; echo "$# $2 ${a#x } ${a%z} ${#a}"
mv words renamed; [ -e words ] || cp renamed words; cmp words renamed && ls -l renamed | cut -c 1-10
chmod 751 words; stat -c '%a %s %F' words; umask 077; touch private; stat -c %a private
test -x words && test ! -d words && echo "tests"; echo $((0x10 + 010 * 2)) $((7 / 2)) $((-7 % 3))
printf '%5d|%-5s|%05.1f\n' 42 ab 3.14159
count() { if [ $1 -gt 0 ]; then echo "down $1"; count $(($1 - 1)); fi; }
count 3
i=0; until [ $i -ge 3 ]; do i=$((i + 1)); [ $i = 2 ] && continue; echo "until $i"; done
echo "$(echo outer $(echo inner $(echo innermost)))" | rev | rev | xargs -n 1 echo | paste -s -d , -
comm -12 words words 2>/dev/null | head -n 1; expr 6 \* 7; dirname /a/b/c; od -c three | head -n 1
for f in b a c; do echo $f > list.$f; done; cat list.* | tr -d '\n'; echo
read first rest < numbers; echo "$first|$rest"; echo "${unset:=default} ${#unset}"
echo "abc def" | awk '{ $1 = toupper($1); print; printf "%.3f\n", sqrt(2) }'
gzip -c words | gunzip | cmp - words && echo "gzip agrees"; date -u -d @86400 +%F
cd /; rm -r $dir; [ -e $dir ] || echo "gone"
