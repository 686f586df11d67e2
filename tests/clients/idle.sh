# Does nothing and succeeds, to prove that the test detects it.
exit 0
