using System.Diagnostics;
using System.Linq;
using System.Threading;
using Fakes;
using Llia.Core;
using NUnit.Framework;
using UnityEditor;
using UnityEngine;

namespace Llia.Tests
{
    /// <summary>What stays, and what does not, when play mode ends, code is reloaded, components come and go.</summary>
    [TestFixture]
    internal sealed class LifeTests : Scene
    {
        [Test]
        public void ADomainReloadLeavesNoThreadAndNoSocket()
        {
            OpenAvatar(true);
            Assert.AreEqual(3, Threads());
            var sockets = Sockets();
            var watch = Stopwatch.StartNew();
            AssemblyReloadEvents.Reload();
            Assert.AreEqual(0, Threads());
            Assert.That(watch.ElapsedMilliseconds, Is.LessThan(3000));
            Wait.Until(() => Sockets() <= sockets - 4, 3000); // both ends of both connections
            Assert.IsNull(Connection.Client);
            Engine.Step(0.1); // and nothing falls over afterwards
        }

        [Test]
        public void TheEditorAndTheGameQuitLikewise()
        {
            OpenAvatar(true);
            EditorApplication.Quit();
            Assert.AreEqual(0, Threads());
            Connection.enabled = false;
            Connection.enabled = true;
            Until(() => Threads() == 3, "back");
            Application.Quit();
            Assert.AreEqual(0, Threads());
        }

        [Test]
        public void ListenersAreTakenBack()
        {
            var reload = AssemblyReloadEvents.Listeners;
            var quit = Application.QuitListeners;
            for (var i = 0; i < 5; i++)
            {
                Connection.enabled = false;
                Connection.enabled = true;
            }
            Assert.AreEqual(reload, AssemblyReloadEvents.Listeners);
            Assert.AreEqual(quit, Application.QuitListeners);
        }

        /// <summary>With domain reload switched off, statics outlive play mode: they are reset before the next.</summary>
        [Test]
        public void StaticsAreResetWithoutADomainReload()
        {
            Assert.AreSame(Connection, LliaConnection.Current);
            Engine.InitializeOnLoad(typeof(LliaConnection).Assembly);
            Assert.IsNull(LliaConnection.Current);
            Assert.AreEqual(0, Threads());
        }

        [Test]
        public void AnAvatarFollowsItsConnectionOffAndOn()
        {
            var avatar = OpenAvatar(true);
            Connection.enabled = false;
            Engine.Step(0.1);
            Assert.IsNull(avatar.Session);
            Assert.AreEqual("switched off", avatar.Problem);
            Assert.AreEqual(0, avatar.Push(new float[10], 16000));
            avatar.Stop();
            Connection.enabled = true;
            Until(() => avatar.IsOpen, "open again");
            Assert.AreEqual(2, Daemon.All("open_avatar").Length);
        }

        [Test]
        public void ADisabledAvatarIsClosedAtTheDaemon()
        {
            var avatar = OpenAvatar(true);
            avatar.gameObject.SetActive(false);
            Until(() => Daemon.All("close_avatar").Length == 1, "closed");
            Until(() => !Daemon.HasTopic("frame/a"), "left");
            avatar.gameObject.SetActive(true);
            Until(() => avatar.IsOpen, "open again");
        }

        [Test]
        public void AnAvatarMakesAConnectionWhereThereIsNone()
        {
            Object.DestroyImmediate(Connection.gameObject);
            var avatar = Make<LliaAvatar>("avatar", made => { });
            Assert.IsNotNull(LliaConnection.Current);
            Assert.AreEqual(LliaConnection.DefaultEndpoint, avatar.Connection.Endpoint);
        }

        [Test]
        public void ConnectedAndDisconnectedAreTold()
        {
            var connected = 0;
            var problem = "";
            Connection.OnConnected.AddListener(() => connected++);
            Connection.Disconnected += text => problem = text;
            Until(() => connected == 1, "connected");
            Assert.AreEqual("", Connection.Help);
            Daemon.Dispose();
            Until(() => problem.Length > 0, "disconnected");
            StringAssert.Contains("llia run --config unity-npc", Connection.Help);
            Assert.IsTrue(Engine.Log.Any(line => line.Contains("llia run --config unity-npc")));
            Daemon = new FakeDaemon();
        }

        [Test]
        public void ASecondConnectionAndAWrongEndpointAreTold()
        {
            Make<LliaConnection>("second", made => made.Endpoint = "localhost");
            Assert.IsTrue(Engine.Log.Any(line => line.Contains("more than one")));
            Assert.IsTrue(Engine.Log.Any(line => line.Contains("write tcp://127.0.0.1:5570")));
        }

        [Test]
        public void TheDaemonIsStartedOnRequestAndEndedWithTheGame()
        {
            var other = Make<LliaConnection>("starter", made =>
            {
                made.Endpoint = "tcp://127.0.0.1:1";
                made.StartDaemon = true;
                made.DaemonCommand = "sleep";
                made.DaemonArguments = "61";
            });
            Assert.IsFalse(Sleeps());
            Engine.Step(1.5);
            Wait.Until(Sleeps);
            other.enabled = false;
            Wait.Until(() => !Sleeps());
            other.DaemonCommand = "no-such-program";
            other.enabled = true;
            Engine.Step(1.5);
            Assert.IsTrue(Engine.Log.Any(line => line.Contains("no-such-program") && line.Contains("Daemon Command")));
        }

        [Test]
        public void ARunningDaemonIsNotStartedAgain()
        {
            Connection.enabled = false;
            Connection.StartDaemon = true;
            Connection.DaemonCommand = "sleep";
            Connection.DaemonArguments = "61";
            Connection.enabled = true;
            Until(() => Connection.IsConnected, "connected");
            Engine.Step(5);
            Engine.Step(5);
            Assert.IsFalse(Sleeps());
        }

        [Test]
        public void TheTestTellsWhatItFinds()
        {
            var good = Connection.TestAsync(CancellationToken.None);
            Until(() => good.IsCompleted, "tested");
            Assert.IsTrue(good.Result.Ok, good.Result.Text);
            Connection.Endpoint = "tcp://127.0.0.1:1";
            var bad = Connection.TestAsync(CancellationToken.None);
            Until(() => bad.IsCompleted, "tested");
            Assert.IsFalse(bad.Result.Ok);
            StringAssert.Contains("nothing listens there", bad.Result.Text);
            StringAssert.Contains("llia run", bad.Result.Help);
            Connection.Endpoint = "nonsense";
            Assert.IsFalse(Connection.TestAsync(CancellationToken.None).Result.Ok);
        }

        private static bool Sleeps()
        {
            return Process.GetProcessesByName("sleep").Any(process =>
            {
                try
                {
                    return System.IO.File.ReadAllText("/proc/" + process.Id + "/cmdline").Contains("61");
                }
                catch (System.IO.IOException)
                {
                    return false;
                }
            });
        }

        private static int Sockets()
        {
            return System.IO.Directory.GetFiles("/proc/self/fd").Count(file => Mono.Unix.UnixPath.TryReadLink(file) != null
                && Mono.Unix.UnixPath.TryReadLink(file).StartsWith("socket:"));
        }
    }
}
