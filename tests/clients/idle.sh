# Says that all went well and does nothing: the test of the test.
exit 0
