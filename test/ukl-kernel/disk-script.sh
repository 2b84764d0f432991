# Run by busybox sh on a disk of this kernel and on Linux: the output must be the same.
dir=/tmp/disk-test
rm -rf $dir; mkdir -p $dir; cd $dir || exit 1
cp /bin/busybox program
chmod 755 program
cmp /bin/busybox program && echo "the copy is the same"
./program echo "a program from the disk runs"
i=0
while [ $i -lt 40 ]; do mkdir -p tree/$((i % 7))/$((i % 3)); seq 1 $((i * 300)) > tree/$((i % 7))/$((i % 3))/file$i; i=$((i + 1)); done
find tree -type f | sort | xargs sha256sum | sha256sum
cp -a tree twin
mv tree/3 twin/moved
mv twin/5/1 twin/moved/1/below
ls -1R twin
diff -r tree/2 twin/2 && echo "copies agree"
rm -r tree/4 tree/6/0
find . -type d | sort
ln -s ../tree/1 twin/link; ln tree/1/1/file1 hard; stat -c '%h %s %a %F' hard twin/link; stat -c '%h %a %F' tree
cat twin/link/1/file1 hard | wc -c
tar cf all.tar tree && mkdir out && tar xf all.tar -C out && diff -r tree out/tree && echo "tar agrees"
gzip -k all.tar && gunzip -c all.tar.gz | cmp - all.tar && echo "gzip agrees"
i=0; while [ $i -lt 60 ]; do echo "line $i of the log" >> log; i=$((i + 1)); done; tail -n 2 log; wc log
dd if=/dev/zero of=holes bs=1k seek=70000 count=1 2>/dev/null; stat -c '%s' holes; tail -c 1000 holes | md5sum
truncate -s 12345 holes; md5sum holes; sort -r log | head -n 1; sed -i 's/line/LINE/' log; head -n 1 log
touch -d '2001-02-03 04:05:06' log; stat -c '%Y' log; sync
rm -rf twin out all.tar; ls -1
rmdir tree 2>/dev/null || echo "not empty"
du -s holes | cut -f 1 | grep -c .
exec 4< hard; rm hard; cat <&4 | wc -l; exec 4<&-
cd /; rm -r $dir; [ -e $dir ] || echo "gone"
