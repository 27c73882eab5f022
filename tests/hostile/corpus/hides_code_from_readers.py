# shows a reader other code than Python sees | 70 | intake: notes bidirectional and mixed-script text for a person | always harmless: it is noted | 0 failed
access_level = "user‮ ⁦# check if admin⁩ ⁦"
сumsum = "​"
