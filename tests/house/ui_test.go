package house

import "testing"

// TestUI uses the web UI of one house in a real browser, from its first minute on.
func TestUI(t *testing.T) {
	u := newUI(t)
	u.begin()
	u.answers()
	defer func() { u.anna.Close() }() // before the daemon ends
	t.Run("FirstRun", u.testFirstRun)
	t.Run("Door", u.testDoor)
	t.Run("Overview", u.testOverview)
	t.Run("NoSuchPage", u.testNoSuchPage)
	t.Run("German", u.testGerman)
	t.Run("FirstVisit", u.testFirstVisit)
	t.Run("Restart", u.testRestart)
	t.Run("InstallByKeyboard", u.testInstallByKeyboard)
	t.Run("Options", u.testOptions)
	t.Run("Update", u.testUpdate)
	t.Run("Pictures", u.testPictures)
	t.Run("Force", u.testForce)
	t.Run("Log", u.testLog)
	t.Run("Search", u.testSearch)
	t.Run("WithoutScripts", u.testWithoutScripts)
	t.Run("Harm", u.testHarm)
	t.Run("EveryScreen", u.testEveryScreen)
	t.Run("Headers", u.testHeaders)
	t.Run("ForgedForms", u.testForgedForms)
	t.Run("OtherSites", u.testOtherSites)
	t.Run("OpenRedirects", u.testOpenRedirects)
	t.Run("StaticFiles", u.testStaticFiles)
	t.Run("Cookies", u.testCookies)
	t.Run("Methods", u.testMethods)
	t.Run("SessionEnds", u.testSessionEnds)
	t.Run("Roles", u.testRoles)
}
