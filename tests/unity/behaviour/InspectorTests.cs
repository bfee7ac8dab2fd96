using System;
using System.Linq;
using Fakes;
using Llia.Editor;
using NUnit.Framework;
using UnityEditor;
using UnityEngine;

namespace Llia.Tests
{
    [TestFixture]
    internal sealed class InspectorTests : Scene
    {
        private static UnityEditor.Editor Inspect(Type type, UnityEngine.Object target)
        {
            var editor = (UnityEditor.Editor)Activator.CreateInstance(type, true);
            editor.target = target;
            editor.serializedObject = new SerializedObject(target);
            return editor;
        }

        private static string Shown(UnityEditor.Editor editor)
        {
            Engine.Gui.Clear();
            editor.OnInspectorGUI();
            return string.Join("\n", Engine.Gui.ToArray());
        }

        [Test]
        public void TheAvatarsInspectorShowsHowItDoes()
        {
            var avatar = OpenAvatar(true);
            Daemon.Frame(640, 2, 2, Pixels(2, 2, 1));
            Until(() => avatar.Session.Figures.Fps > 0 && avatar.Shown.Shown > 0, "figures");
            var shown = Shown(Inspect(typeof(LliaAvatarEditor), avatar));
            StringAssert.Contains("made 25.0", shown);
            StringAssert.Contains("1 received", shown);
            StringAssert.Contains("the daemon's lead 150 ms", shown);
            StringAssert.Contains("Open", shown);
        }

        [Test]
        public void OutsideOfPlayModeItTellsThatItIsShownNowhere()
        {
            Application.isPlaying = false;
            try
            {
                var avatar = Make<LliaAvatar>("avatar", made => { });
                StringAssert.Contains("shown nowhere yet", Shown(Inspect(typeof(LliaAvatarEditor), avatar)));
            }
            finally
            {
                Application.isPlaying = true;
            }
        }

        [Test]
        public void TestConnectionTellsWhatItFinds()
        {
            var editor = Inspect(typeof(LliaConnectionEditor), Connection);
            Engine.PressNext("Test Connection");
            Shown(editor);
            var shown = "";
            Until(() => (shown = Shown(editor)).Contains("answers in"), "tested");
            StringAssert.Contains("Status: Ready", shown);
        }

        [Test]
        public void WithoutADaemonItTellsWhatToDo()
        {
            Connection.Endpoint = "tcp://127.0.0.1:1";
            var editor = Inspect(typeof(LliaConnectionEditor), Connection);
            Engine.PressNext("Test Connection");
            Shown(editor);
            var shown = "";
            Until(() => (shown = Shown(editor)).Contains("nothing listens there"), "tested");
            StringAssert.Contains("[Copy the command: llia run --config unity-npc]", shown);
            Engine.PressNext("Copy the command: llia run --config unity-npc");
            Shown(editor);
            Assert.AreEqual("llia run --config unity-npc", EditorGUIUtility.systemCopyBuffer);
        }
    }
}
