# Says that it is done and has read nothing back: the test of the test.
echo done
